//! Files that keep a router: snapshots replaced in one step, and a journal of events.
//!
//! A [`Store`] is a folder that holds a [`Live`](plimsoll::Live) router: kill the process at any
//! moment, and what was acknowledged is there when the folder is opened again, bit for bit.
//!
//! ```
//! # use plimsoll::{ArmId, ArmSpec, CostPredictor, Random, Router};
//! use plimsoll::{Event, Live, OpenLimits, SharedRouter};
//! use plimsoll_store::{Store, StoreOptions};
//! # let arms = vec![ArmSpec::new(ArmId::new("a")?), ArmSpec::new(ArmId::new("b")?)];
//! # let cost = CostPredictor::fit(&arms, [])?;
//! # let router = Router::with_policy(arms, None, cost, Box::new(Random::new(2)?))?;
//! # let folder = tempfile::tempdir()?;
//! let folder = folder.path().join("router");
//! let live = Live::new(router, OpenLimits::default());
//! let mut store = Store::create(&folder, &StoreOptions::default(), &live)?;
//!
//! let shared = SharedRouter::new(live);
//! shared.send(Event::ArmArchived { arm: ArmId::new("a")?, archived: true })?;
//! // Events are durable before they are applied; then they may be acknowledged.
//! let learned = shared.learn_logged(|first, events| store.append(first, events).map(drop))?;
//! assert_eq!(learned.sequence, 1);
//! drop(store); // Or kill -9.
//!
//! let opened = Store::open(&folder, &StoreOptions::default(), &|_, _| None)?;
//! println!("{}", opened.report);
//! assert!(opened.live.router().arms()[0].archived);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is in the folder
//!
//! | file | what |
//! |---|---|
//! | `state-N.snapshot` | the state with which generation N began |
//! | `state-N.journal` | the events since |
//! | `*.new` | a file that was being written; removed when the folder is opened |
//! | `*.damaged` | a snapshot that could not be used; kept for you to look at |
//! | `lock` | locked while a store is open; the system unlocks it when its process ends |
//!
//! **Invariant:** a snapshot appears under its name only whole and durable, and after the journal
//! that continues it. **Invariant:** an event is acknowledged only after `fsync`. **Invariant:**
//! after a failed write or `fsync` nothing more is written to the same file: what is in it is not
//! known, and opening the folder again writes the state anew.
//!
//! Prompts are not stored, and neither are secrets; features and names of tasks and arms are. Files
//! are readable for their owner only. Use a local file system: locks and `fsync` must mean what they say.
mod error;
mod names;
mod store;
mod vfs;

pub use error::StoreError;
pub use store::{GENERATIONS_KEPT, Opened, Store, StoreOptions};
pub use vfs::{Disk, Lock, Vfs, VfsFile};

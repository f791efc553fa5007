//! The journal: what was promised before each call, and what became of it.
//!
//! A line is `<check> <json>`, where the check is the beginning of the BLAKE3 digest of the JSON.
//! A line is durable before anything relies on it: a promise before its call is sent, an answer
//! before it is used. A crash can tear the last line alone; its promise was not acted upon, or its
//! answer is not known. Prompts and keys are not in it; answers are, so only its owner may read it.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use plimsoll::Usd;
use serde::{Deserialize, Serialize};

use crate::error::CollectError;
use crate::failure::Failure;
use crate::reply::Usage;

/// Name of the journal in its folder.
pub const JOURNAL_NAME: &str = "journal.jsonl";
const VERSION: u32 = 1;
const CHECK_DIGITS: usize = 16;

/// Where a journal's bytes go.
pub trait Storage: Send + 'static {
    /// Appends; returns when the bytes are durable.
    ///
    /// # Errors
    /// When they are not: then nothing more is appended.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
}

/// One line.
#[derive(Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", deny_unknown_fields)]
enum Line {
    Begin {
        version: u32,
    },
    /// A call may be sent, at most this dear.
    Reserve {
        call: u64,
        digest: String,
        arm: String,
        bound: Usd,
    },
    /// What it was charged at, and what came of it.
    Settle {
        call: u64,
        charged: Usd,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        answer: Option<Box<Answer>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<Failure>,
    },
}

/// An answer as it is kept.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) content: String,
    pub(crate) usage: Option<Usage>,
    /// What it cost, as far as that is known.
    pub(crate) cost: Option<Usd>,
    pub(crate) is_truncated: bool,
    pub(crate) latency_ms: u64,
}

impl std::fmt::Debug for Answer {
    /// Leaves out the text.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer")
            .field("usage", &self.usage)
            .finish_non_exhaustive()
    }
}

/// What earlier runs left behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Earlier {
    /// Charged by all earlier runs, calls of unknown outcome included.
    pub spent_usd: Usd,
    /// Calls whose outcome was never learned: a run ended while they were under way.
    pub unknown_calls: u64,
    /// What these are charged at: their bounds in full.
    pub unknown_usd: Usd,
}

/// An open journal.
pub struct Journal {
    path: PathBuf,
    storage: Box<dyn Storage>,
    answers: HashMap<String, Arc<Answer>>,
    earlier: Earlier,
    calls: u64,
    is_broken: bool,
}

impl Journal {
    /// Opens the journal in `folder`, which is made if need be, and locks it.
    ///
    /// # Errors
    /// [`CollectError`] when the folder cannot be used, another run uses it, or the journal is
    /// damaged before its last line.
    pub fn open(folder: &Path) -> Result<Self, CollectError> {
        let path = folder.join(JOURNAL_NAME);
        let at = |source| CollectError::Io {
            path: path.clone(),
            source,
        };
        fs::create_dir_all(folder).map_err(at)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&path).map_err(at)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(CollectError::InUse { path }),
            Err(TryLockError::Error(error)) => return Err(at(error)),
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(at)?;
        let whole = whole_lines(&bytes);
        if whole < bytes.len() {
            file.set_len(whole as u64)
                .and_then(|()| file.sync_all())
                .map_err(at)?;
            bytes.truncate(whole);
        }
        file.seek(SeekFrom::End(0)).map_err(at)?;
        #[cfg(unix)]
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(at)?;
        Self::resume(path, &bytes, Box::new(Disk(file)))
    }

    /// A journal that holds `bytes` already and goes on in `storage`, which holds their whole
    /// lines: see [`whole_lines`](Self::whole_lines).
    ///
    /// # Errors
    /// [`CollectError`] when a line is damaged, or the storage refuses.
    pub fn resume(
        path: PathBuf,
        bytes: &[u8],
        storage: Box<dyn Storage>,
    ) -> Result<Self, CollectError> {
        let mut journal = Self {
            path,
            storage,
            answers: HashMap::new(),
            earlier: Earlier::default(),
            calls: 0,
            is_broken: false,
        };
        let mut open = BTreeMap::new();
        let lines = bytes
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty());
        for (index, line) in lines.enumerate() {
            let line = checked(line).and_then(|line| journal.replay(index, line, &mut open));
            line.map_err(|why| CollectError::Journal {
                path: journal.path.clone(),
                line: index + 1,
                why,
            })?;
        }
        if bytes.is_empty() {
            journal.append(&Line::Begin { version: VERSION })?;
        }
        // What was under way has an outcome that nobody knows: it is charged in full.
        for (call, (_, bound)) in open {
            journal.charge_earlier(bound)?;
            journal.earlier.unknown_calls += 1;
            journal.earlier.unknown_usd += bound;
            journal.append(&Line::Settle {
                call,
                charged: bound,
                answer: None,
                failure: Some(Failure::Lost),
            })?;
        }
        Ok(journal)
    }

    /// Bytes of `bytes` that are whole lines; what follows was torn by a crash.
    #[must_use]
    pub fn whole_lines(bytes: &[u8]) -> usize {
        whole_lines(bytes)
    }

    fn replay(
        &mut self,
        index: usize,
        line: Line,
        open: &mut BTreeMap<u64, (String, Usd)>,
    ) -> Result<(), &'static str> {
        match line {
            Line::Begin { version: VERSION } if index == 0 => Ok(()),
            Line::Begin { .. } => Err("not a journal of this release"),
            _ if index == 0 => Err("not a journal"),
            Line::Reserve {
                call,
                digest,
                bound,
                ..
            } => {
                if call != self.calls || bound < Usd::ZERO {
                    return Err("calls do not follow each other");
                }
                self.calls += 1;
                open.insert(call, (digest, bound));
                Ok(())
            }
            Line::Settle {
                call,
                charged,
                answer,
                failure,
            } => {
                let (digest, bound) = open.remove(&call).ok_or("a call is settled twice")?;
                if charged < Usd::ZERO || charged > bound {
                    return Err("a call is charged beyond its bound");
                }
                let sum = self.earlier.spent_usd.checked_add(charged);
                self.earlier.spent_usd = sum.ok_or("the sum does not fit")?;
                if failure == Some(Failure::Lost) {
                    self.earlier.unknown_calls += 1;
                    self.earlier.unknown_usd += charged;
                }
                if let Some(answer) = answer {
                    self.answers.insert(digest, Arc::from(answer));
                }
                Ok(())
            }
        }
    }

    fn charge_earlier(&mut self, bound: Usd) -> Result<(), CollectError> {
        let sum = self.earlier.spent_usd.checked_add(bound);
        self.earlier.spent_usd = sum.ok_or_else(|| CollectError::Journal {
            path: self.path.clone(),
            line: 1,
            why: "the sum does not fit",
        })?;
        Ok(())
    }

    /// What earlier runs spent.
    #[must_use]
    pub const fn earlier(&self) -> Earlier {
        self.earlier
    }

    pub(crate) fn answer(&self, digest: &str) -> Option<Arc<Answer>> {
        self.answers.get(digest).cloned()
    }

    /// Makes the promise durable: the call's number.
    pub(crate) fn reserve(
        &mut self,
        digest: &str,
        arm: &str,
        bound: Usd,
    ) -> Result<u64, CollectError> {
        let call = self.calls;
        self.append(&Line::Reserve {
            call,
            digest: digest.to_owned(),
            arm: arm.to_owned(),
            bound,
        })?;
        self.calls += 1;
        Ok(call)
    }

    /// Makes the outcome durable.
    pub(crate) fn settle(
        &mut self,
        call: u64,
        digest: &str,
        charged: Usd,
        outcome: Result<Answer, Failure>,
    ) -> Result<Option<Arc<Answer>>, CollectError> {
        let (answer, failure) = match outcome {
            Ok(answer) => (Some(Box::new(answer)), None),
            Err(failure) => (None, Some(failure)),
        };
        let line = Line::Settle {
            call,
            charged,
            answer,
            failure,
        };
        self.append(&line)?;
        let Line::Settle {
            answer: Some(answer),
            ..
        } = line
        else {
            return Ok(None);
        };
        let answer: Arc<Answer> = Arc::from(answer);
        self.answers.insert(digest.to_owned(), Arc::clone(&answer));
        Ok(Some(answer))
    }

    fn append(&mut self, line: &Line) -> Result<(), CollectError> {
        let at = |source| CollectError::Io {
            path: self.path.clone(),
            source,
        };
        // After a failed write nobody knows what the file holds.
        if self.is_broken {
            return Err(at(io::Error::other("an earlier write failed")));
        }
        let json = serde_json::to_string(line).expect("lines are JSON");
        let text = format!("{} {json}\n", check_of(json.as_bytes()));
        let appended = self.storage.append(text.as_bytes()).map_err(at);
        self.is_broken = appended.is_err();
        appended
    }
}

struct Disk(File);

impl Storage for Disk {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)?;
        self.0.sync_data()
    }
}

fn check_of(json: &[u8]) -> String {
    blake3::hash(json).to_hex()[..CHECK_DIGITS].to_owned()
}

fn checked(line: &[u8]) -> Result<Line, &'static str> {
    let (check, json) = line
        .split_at_checked(CHECK_DIGITS)
        .ok_or("a damaged line")?;
    let json = json.strip_prefix(b" ").ok_or("a damaged line")?;
    if check_of(json).as_bytes() != check {
        return Err("a damaged line");
    }
    serde_json::from_slice(json).map_err(|_| "a line of another release")
}

/// All but a last line that is torn: without its end, or with another check.
fn whole_lines(bytes: &[u8]) -> usize {
    let after = |end: usize| {
        bytes[..end]
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1)
    };
    let end = after(bytes.len());
    if end < bytes.len() || end == 0 {
        return end;
    }
    let begin = after(end - 1);
    match checked(&bytes[begin..end - 1]) {
        Err("a damaged line") => begin,
        _ => end,
    }
}

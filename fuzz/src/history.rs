//! What a disk may do to the files of a service: recovery tells the truth or nothing.

use std::sync::OnceLock;

use plimsoll::{Event, Generation, JournalHeader, JournalWriter, Live, recover};

use crate::seeds::{life, starts};

/// Events per generation, and generations.
const EVENTS: usize = 4;
const GENERATIONS: usize = 3;

/// A well-kept history: per generation the state it began with and its journal; the state after
/// each number of events.
struct History {
    snapshots: Vec<Vec<u8>>,
    journals: Vec<Vec<u8>>,
    states: Vec<Vec<u8>>,
}

impl History {
    fn new(mut live: Live, events: &[Event]) -> Self {
        let (mut snapshots, mut journals) = (Vec::new(), Vec::new());
        let mut states = vec![live.snapshot()];
        for (number, group) in events.chunks(EVENTS).take(GENERATIONS).enumerate() {
            snapshots.push(live.snapshot());
            let (mut writer, mut journal) = JournalWriter::new(JournalHeader {
                generation: number as u64,
                first: live.sequence(),
            });
            for event in group {
                let (frame, _) = writer.frame(std::slice::from_ref(event)).expect("small");
                journal.extend(frame);
                let _ = live.apply(event);
                states.push(live.snapshot());
            }
            journals.push(journal);
        }
        Self {
            snapshots,
            journals,
            states,
        }
    }
}

fn history() -> &'static History {
    static HISTORY: OnceLock<History> = OnceLock::new();
    HISTORY.get_or_init(|| {
        let start = starts()[1].clone();
        let events = life(&start, EVENTS * GENERATIONS / 2);
        History::new(start, &events)
    })
}

/// Damages, four bytes each: what is done, to which file, and where. What is recovered after them
/// is a state that there was, and none that is older than the last journal's damage explains.
#[must_use]
pub fn recovery(data: &[u8]) -> bool {
    let history = history();
    let mut snapshots: Vec<Option<Vec<u8>>> = history.snapshots.iter().cloned().map(Some).collect();
    let mut journals: Vec<Option<Vec<u8>>> = history.journals.iter().cloned().map(Some).collect();
    // Whether only what a crash may do was done: the end of the last journal cut off.
    let mut crash = true;
    for damage in data.chunks_exact(4).take(16) {
        let [what, file, low, high] = *damage else {
            continue;
        };
        let generation = usize::from(file) % GENERATIONS;
        let is_journal = file & 0x80 != 0;
        let files = if is_journal {
            &mut journals
        } else {
            &mut snapshots
        };
        let at = usize::from(u16::from_le_bytes([low, high]));
        crash &= what % 8 == 0 && is_journal && generation == GENERATIONS - 1;
        if what % 8 == 4 {
            files.swap(generation, at % GENERATIONS);
            continue;
        }
        let Some(bytes) = &mut files[generation] else {
            continue;
        };
        let at = at % (bytes.len() + 1);
        match what % 8 {
            0 => bytes.truncate(at.max(if is_journal { 44 } else { 0 })),
            1 => bytes
                .iter_mut()
                .skip(at)
                .take(1)
                .for_each(|byte| *byte ^= 1 << (what / 32)),
            2 => files[generation] = None,
            3 => bytes[at..].fill(0),
            5 => bytes.extend_from_within(at..),
            6 => bytes.insert(at, what),
            _ => {
                let most = bytes.len();
                bytes.drain(at..most.min(at + 1 + usize::from(what / 8)));
            }
        }
    }
    let generations: Vec<Generation<'_>> = (0..GENERATIONS)
        .rev()
        .map(|number| Generation {
            number: number as u64,
            snapshot: snapshots[number].as_deref(),
            journal: journals[number].as_deref(),
        })
        .collect();
    match recover(&generations, &|_, _| None) {
        Ok(recovered) => {
            let sequence = usize::try_from(recovered.live.sequence()).expect("few events");
            assert_eq!(
                recovered.live.snapshot(),
                history.states[sequence],
                "the state after {sequence} events is another"
            );
            assert!(!recovered.report.to_string().is_empty());
            true
        }
        Err(error) => {
            assert!(!crash, "no crash does that, and yet: {error}");
            assert!(!error.to_string().is_empty() && !error.help().is_empty());
            false
        }
    }
}

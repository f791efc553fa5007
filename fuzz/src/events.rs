//! Events, whatever they say.

use ciborium::Value;
use plimsoll::{Event, Generation, JournalHeader, JournalReader, JournalWriter, Live, recover};

use crate::live::serve;
use crate::seal::item;
use crate::seeds::starts;
use crate::work::put_to_work;

/// A life of CBOR events. The first byte says which router lives it; a replay of the journal must
/// make the same state, whatever the events were.
#[must_use]
pub fn events(data: &[u8]) -> bool {
    let Some((start, mut rest)) = data.split_first() else {
        return false;
    };
    let starts = starts();
    let mut live = starts[usize::from(*start) % starts.len()].clone();
    let begin = live.snapshot();
    let mut events = Vec::new();
    while let Some(bytes) = item(&mut rest) {
        // A reader of events is one of journals.
        let Some(event) = event(bytes) else { continue };
        events.push(event);
    }
    let header = JournalHeader {
        generation: 1,
        first: live.sequence(),
    };
    let (mut writer, mut journal) = JournalWriter::new(header);
    for event in &events {
        let Ok((frame, _)) = writer.frame(std::slice::from_ref(event)) else {
            return false;
        };
        journal.extend(frame);
        let sequence = live.sequence();
        let hash = live.router().state_hash();
        match live.apply(event) {
            Err(error) => {
                assert!(!error.to_string().is_empty() && !error.code().is_empty());
                assert_eq!(
                    live.router().state_hash(),
                    hash,
                    "a refused event teaches nothing"
                );
            }
            Ok(_) => keeps_caps(&live, &events),
        }
        assert_eq!(live.sequence(), sequence + 1);
    }
    let generation = Generation {
        number: 1,
        snapshot: Some(&begin),
        journal: Some(&journal),
    };
    let recovered = recover(&[generation], &|_, _| None).expect("a whole journal");
    assert_eq!(recovered.live.snapshot(), live.snapshot());
    serve(&mut live, false);
    put_to_work(&mut live.router().clone(), false);
    !events.is_empty()
}

/// The event of these bytes, read as a journal's only one.
fn event(bytes: &[u8]) -> Option<Event> {
    let header = JournalHeader {
        generation: 0,
        first: 0,
    };
    let (_, mut journal) = JournalWriter::new(header);
    let length = u32::try_from(bytes.len()).ok()?;
    journal.extend_from_slice(&length.to_le_bytes());
    journal.extend_from_slice(&1_u32.to_le_bytes());
    journal.extend_from_slice(&[0; 24]);
    journal.extend_from_slice(bytes);
    let journal = crate::journal::with_checksums(journal, 0);
    let mut reader = JournalReader::new();
    reader.feed(&journal).ok()?;
    reader.batch()?.events.pop()
}

/// Caps hold unless a call cost more than its bound, or the cap was lowered.
fn keeps_caps(live: &Live, events: &[Event]) {
    let Some(spending) = live.spending() else {
        return;
    };
    if events
        .iter()
        .any(|event| matches!(event, Event::CapSet { .. }))
    {
        return;
    }
    for (scope, account) in spending.ledger().accounts() {
        let used = account.spent.pico() + account.reserved.pico();
        let most = account.cap.limit.pico() + account.overrun.pico();
        assert!(used <= most, "{scope}: {account:?}");
    }
}

/// Events as an input.
pub(crate) fn input(start: u8, events: &[Event]) -> Vec<u8> {
    let mut input = vec![start];
    for event in events {
        let value = Value::serialized(event).expect("an event");
        input.extend(crate::seal::cbor(&value));
    }
    input
}

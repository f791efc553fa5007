//! Bytes of a journal.

use plimsoll::{Batch, JournalEnd, JournalError, JournalHeader, JournalReader, JournalWriter};

use crate::seal::bounded;

/// Bytes before the first frame, of a frame before its payload, and of a checksum.
const HEADER: usize = 44;
const HEAD: usize = 32;
const CHECKSUM: usize = 16;

/// A journal's bytes. The first byte says how long the pieces are in which it is read, the second
/// which checksums stay wrong: bit 0 the header's, bit n that of frame n; all others are made
/// right.
#[must_use]
pub fn journal(data: &[u8]) -> bool {
    let [piece, wrong, bytes @ ..] = data else {
        return false;
    };
    let bytes = with_checksums(bytes.to_vec(), *wrong);
    let whole = bounded(&bytes, || read(&bytes, bytes.len().max(1)));
    let pieces = read(&bytes, usize::from(*piece) + 1);
    assert_eq!(
        format!("{whole:?}"),
        format!("{pieces:?}"),
        "pieces have no say"
    );
    let Ok((batches, end)) = whole else {
        return false;
    };
    let (mut writer, _) = JournalWriter::new(JournalHeader {
        first: end.header.first,
        ..end.header
    });
    let (mut again, mut expect) = (JournalReader::new(), end.header.first);
    let (_, header) = JournalWriter::new(end.header);
    again.feed(&header).expect("a header");
    for batch in &batches {
        assert_eq!(batch.first, expect);
        expect += batch.events.len() as u64;
        let mut events = batch.events.as_slice();
        while !events.is_empty() {
            let (frame, taken) = writer.frame(events).expect("it was in a frame before");
            again.feed(&frame).expect("what is written can be read");
            let read = again.batch().expect("a whole frame");
            // As text: a number that is none equals nothing, itself included.
            assert_eq!(
                format!("{:?}", read.events),
                format!("{:?}", &events[..taken])
            );
            events = &events[taken..];
        }
    }
    assert_eq!(end.next, expect);
    assert_eq!(end.offset + end.dropped_bytes, bytes.len() as u64);
    !batches.is_empty()
}

fn read(bytes: &[u8], piece: usize) -> Result<(Vec<Batch>, JournalEnd), JournalError> {
    let (mut reader, mut batches) = (JournalReader::new(), Vec::new());
    for piece in bytes.chunks(piece) {
        reader.feed(piece)?;
        batches.extend(std::iter::from_fn(|| reader.batch()));
    }
    let end = reader.finish()?;
    Ok((batches, end))
}

/// Makes the checksums right that `wrong` does not name.
pub(crate) fn with_checksums(mut bytes: Vec<u8>, wrong: u8) -> Vec<u8> {
    let sum = |parts: &[&[u8]]| {
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(part);
        }
        hasher.finalize().as_bytes()[..CHECKSUM].to_vec()
    };
    if bytes.len() < HEADER {
        return bytes;
    }
    if wrong & 1 == 0 {
        let header = sum(&[&bytes[..HEADER - CHECKSUM]]);
        bytes[HEADER - CHECKSUM..HEADER].copy_from_slice(&header);
    }
    let generation = bytes[12..20].to_vec();
    let (mut at, mut number) = (HEADER, 1);
    while let Some(head) = bytes.get(at..at + HEAD) {
        let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let end = at + HEAD + length;
        if end > bytes.len() {
            break;
        }
        if number > 7 || wrong >> number & 1 == 0 {
            let frame = sum(&[
                &generation,
                &bytes[at..at + CHECKSUM],
                &bytes[at + HEAD..end],
            ]);
            bytes[at + CHECKSUM..at + HEAD].copy_from_slice(&frame);
        }
        (at, number) = (end, number + 1);
    }
    bytes
}

//! An append-only journal of events as bytes: what was acknowledged is in it.
//!
//! Layout, integers little-endian. Header: magic `PLIMJRNL` (8), format version u32 (4),
//! generation u64 (8), number of the first event u64 (8), first half of the BLAKE3 of all this
//! (16). Then frames, one per group that is made durable at once: payload length u32 (4), events
//! u32 (4), number of the first event u64 (8), first half of the BLAKE3 of generation, these
//! fields and payload (16), payload (CBOR, one event after another).
//!
//! A group is one frame, and the next is written only when it is durable. So whatever a crash
//! leaves behind, only the last frame can be torn: damage with a whole frame after it is no crash.

use std::collections::VecDeque;

use crate::cbor;
use crate::event::Event;
use crate::policy::encode_state;
use crate::sealed::array;

/// First bytes of every journal.
pub const JOURNAL_MAGIC: [u8; 8] = *b"PLIMJRNL";
/// Format version written, and the newest that is read.
pub const JOURNAL_VERSION: u32 = 1;
/// Most bytes of a frame's payload; what claims more is damaged.
pub const FRAME_MAX: usize = 1 << 24;
/// A frame takes no further events from here on.
const FRAME_FULL: usize = 1 << 20;
/// Most bytes that are hashed in search of a frame after damage: forged bytes cost no more.
const TRIED_MAX: u64 = 1 << 30;
/// Bytes before the first frame.
const HEADER: usize = 44;
/// Bytes of a frame before its payload.
const HEAD: usize = 32;
/// Bytes of a checksum.
const CHECKSUM: usize = 16;

/// Why bytes are not a journal, or an event cannot be written to one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The bytes do not begin like a journal.
    #[error("not a journal: it does not begin with a whole header `PLIMJRNL`")]
    NotJournal,
    /// Written by a newer release.
    #[error("journal has format version {got}, this release reads up to {newest}")]
    Newer {
        /// Version of the journal.
        got: u32,
        /// Newest version that can be read.
        newest: u32,
    },
    /// The version was never written by any release.
    #[error("journal has format version {got}, which does not exist")]
    UnknownVersion {
        /// Version of the journal.
        got: u32,
    },
    /// A frame is damaged, and it is not the last: no crash does that.
    #[error("journal is damaged at byte {offset}: {what}")]
    Damaged {
        /// Where the damaged frame begins.
        offset: u64,
        /// What is wrong.
        what: String,
    },
    /// One event is too large to be written.
    #[error("an event of {got} bytes is too large for a journal, the limit is {max}")]
    TooLarge {
        /// Bytes of the event.
        got: u64,
        /// The limit.
        max: u64,
    },
}

/// What a journal is a journal of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalHeader {
    /// The generation it belongs to.
    pub generation: u64,
    /// Number of its first event.
    pub first: u64,
}

/// The events of one frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Number of the first event.
    pub first: u64,
    /// The events, in order.
    pub events: Vec<Event>,
}

/// How a journal ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalEnd {
    /// What it is a journal of.
    pub header: JournalHeader,
    /// Number of the event that would come next.
    pub next: u64,
    /// Where the last whole frame ends.
    pub offset: u64,
    /// Bytes after it: a group that was being written, and was not acknowledged.
    pub dropped_bytes: u64,
}

/// Makes the bytes to append.
#[derive(Clone, Debug)]
pub struct JournalWriter {
    generation: u64,
    next: u64,
}

/// Reads a journal piece by piece, in bounded memory.
///
/// ```
/// use plimsoll::{ArmId, Event, JournalHeader, JournalReader, JournalWriter};
/// let header = JournalHeader { generation: 3, first: 100 };
/// let (mut writer, mut bytes) = JournalWriter::new(header);
/// let event = Event::ArmArchived { arm: ArmId::new("small")?, archived: true };
/// let (frame, _events) = writer.frame(&[event.clone()])?;
/// bytes.extend(frame);
/// bytes.extend([1, 2, 3]); // Torn by a crash.
///
/// let mut reader = JournalReader::new();
/// for piece in bytes.chunks(16) {
///     reader.feed(piece)?;
/// }
/// assert_eq!(reader.batch().map(|batch| batch.events), Some(vec![event]));
/// let end = reader.finish()?;
/// assert_eq!((end.next, end.dropped_bytes), (101, 3));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct JournalReader {
    /// Bytes that have not been made sense of.
    buffer: Vec<u8>,
    /// Where the buffer begins in the journal.
    offset: u64,
    header: Option<JournalHeader>,
    next: u64,
    /// Where whatever is not a frame begins.
    torn: Option<u64>,
    /// Bytes that were hashed in search of a frame after it.
    tried: u64,
    ready: VecDeque<Batch>,
}

impl JournalError {
    /// Stable code of the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotJournal => "P0559",
            Self::Newer { .. } => "P0551",
            Self::UnknownVersion { .. } => "P0552",
            Self::Damaged { .. } => "P0560",
            Self::TooLarge { .. } => "P0561",
        }
    }

    /// How to fix it.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        match self {
            Self::NotJournal => "check the path: this file was not written as a journal",
            Self::Newer { .. } => "upgrade to the release that wrote it, or a newer one",
            Self::UnknownVersion { .. } | Self::Damaged { .. } => {
                "restore the file from a copy; the events after the damage are in no other place"
            }
            Self::TooLarge { .. } => "shorten the context, for instance its features",
        }
    }
}

impl JournalWriter {
    /// A new journal, and its first bytes.
    #[must_use]
    pub fn new(header: JournalHeader) -> (Self, Vec<u8>) {
        let mut bytes = Vec::with_capacity(HEADER);
        bytes.extend_from_slice(&JOURNAL_MAGIC);
        bytes.extend_from_slice(&JOURNAL_VERSION.to_le_bytes());
        bytes.extend_from_slice(&header.generation.to_le_bytes());
        bytes.extend_from_slice(&header.first.to_le_bytes());
        let checksum = checksum(&[&bytes]);
        bytes.extend_from_slice(&checksum);
        let writer = Self {
            generation: header.generation,
            next: header.first,
        };
        (writer, bytes)
    }

    /// One frame of the first events of `events`, as many as fit, and how many those are.
    ///
    /// # Errors
    /// [`JournalError::TooLarge`] when the first event alone does not fit.
    pub fn frame(&mut self, events: &[Event]) -> Result<(Vec<u8>, usize), JournalError> {
        let mut bytes = vec![0; HEAD];
        let mut taken = 0;
        for event in events {
            let encoded = encode_state(event);
            if taken == 0 && encoded.len() > FRAME_MAX {
                return Err(JournalError::TooLarge {
                    got: encoded.len() as u64,
                    max: FRAME_MAX as u64,
                });
            }
            let after = bytes.len() - HEAD + encoded.len();
            if taken > 0 && (bytes.len() - HEAD >= FRAME_FULL || after > FRAME_MAX) {
                break;
            }
            bytes.extend_from_slice(&encoded);
            taken += 1;
        }
        let number = |n: usize| u32::try_from(n).expect("a frame is smaller than 2³² bytes");
        let length = number(bytes.len() - HEAD);
        bytes[..4].copy_from_slice(&length.to_le_bytes());
        bytes[4..8].copy_from_slice(&number(taken).to_le_bytes());
        bytes[8..16].copy_from_slice(&self.next.to_le_bytes());
        let checksum = frame_checksum(self.generation, &bytes);
        bytes[CHECKSUM..HEAD].copy_from_slice(&checksum);
        self.next += taken as u64;
        Ok((bytes, taken))
    }

    /// Number of the next event.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.next
    }

    /// The generation it belongs to.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }
}

impl JournalReader {
    /// A reader before the first byte.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes of the journal. Take the [batches](Self::batch) out between calls:
    /// what is kept beyond them is at most one frame.
    ///
    /// # Errors
    /// [`JournalError`] when the bytes are no journal of a known version, or are damaged where no
    /// crash damages them.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), JournalError> {
        self.buffer.extend_from_slice(bytes);
        let mut at = 0;
        if self.header.is_none() && !self.read_header(&mut at)? {
            return Ok(());
        }
        while self.step(&mut at)? {}
        self.buffer.drain(..at);
        self.offset += at as u64;
        Ok(())
    }

    /// The next batch that has been read.
    pub fn batch(&mut self) -> Option<Batch> {
        self.ready.pop_front()
    }

    /// What it is a journal of; `None`: not read so far.
    #[must_use]
    pub fn header(&self) -> Option<JournalHeader> {
        self.header
    }

    /// After the last byte: how the journal ends.
    ///
    /// # Errors
    /// [`JournalError`] when it has no whole header, or the damage at its end is not a torn frame.
    pub fn finish(mut self) -> Result<JournalEnd, JournalError> {
        let header = self.header.ok_or(JournalError::NotJournal)?;
        let end = self.offset + self.buffer.len() as u64;
        // What seems longer than the rest is torn, or damaged with whole frames after it.
        let mut at = 0;
        if self.torn.is_none() && !self.buffer.is_empty() {
            (self.torn, at) = (Some(self.offset), 1);
        }
        while at < self.buffer.len() {
            if !self.step(&mut at)? {
                at += 1;
            }
        }
        let offset = self.torn.unwrap_or(end);
        let dropped_bytes = end - offset;
        if dropped_bytes > (HEAD + FRAME_MAX) as u64 {
            return Err(damaged(offset, "more than one frame cannot be read"));
        }
        Ok(JournalEnd {
            header,
            next: self.next,
            offset,
            dropped_bytes,
        })
    }

    fn read_header(&mut self, at: &mut usize) -> Result<bool, JournalError> {
        let known = self.buffer.len().min(8);
        if self.buffer[..known] != JOURNAL_MAGIC[..known] {
            return Err(JournalError::NotJournal);
        }
        let Some(bytes) = self.buffer.get(..HEADER) else {
            return Ok(false);
        };
        let got = u32::from_le_bytes(array(bytes, 8));
        let newest = JOURNAL_VERSION;
        if got > newest {
            return Err(JournalError::Newer { got, newest });
        }
        if got == 0 {
            return Err(JournalError::UnknownVersion { got });
        }
        let (fields, sum) = bytes.split_at(HEADER - CHECKSUM);
        if checksum(&[fields]) != sum {
            return Err(damaged(0, "the header's checksum does not match"));
        }
        let header = JournalHeader {
            generation: u64::from_le_bytes(array(bytes, 12)),
            first: u64::from_le_bytes(array(bytes, 20)),
        };
        (self.header, self.next) = (Some(header), header.first);
        *at = HEADER;
        Ok(true)
    }

    /// Reads one frame, or tries one position; whether there may be more.
    fn step(&mut self, at: &mut usize) -> Result<bool, JournalError> {
        let rest = self.buffer.get(*at..).unwrap_or_default();
        let offset = self.offset + *at as u64;
        let generation = self.header.map_or(0, |header| header.generation);
        if let Some(torn) = self.torn {
            // Bytes that are no frame: if a later frame follows, this is damage.
            if rest.len() < HEAD {
                return Ok(false);
            }
            if !could_follow(self.next, rest) {
                *at += 1;
                return Ok(true);
            }
            return match look(generation, rest) {
                Look::Short => Ok(false),
                Look::Frame { .. } => Err(damaged(
                    torn,
                    "the frame cannot be read, and others follow it",
                )),
                Look::Nothing => {
                    *at += 1;
                    self.tried += rest.len().min(HEAD + FRAME_MAX) as u64;
                    if self.tried > TRIED_MAX {
                        return Err(damaged(torn, "no end of what looks like frames"));
                    }
                    Ok(true)
                }
            };
        }
        match look(generation, rest) {
            Look::Short => Ok(false),
            Look::Nothing => {
                self.torn = Some(offset);
                *at += 1;
                Ok(true)
            }
            Look::Frame {
                first,
                events,
                length,
            } => {
                if first != self.next {
                    let what = format!("event {} was expected, {first} is there", self.next);
                    return Err(damaged(offset, &what));
                }
                let payload = &rest[HEAD..HEAD + length];
                let batch = decode(payload, events).map_err(|what| damaged(offset, &what))?;
                let next = self.next.checked_add(u64::from(events));
                self.next = next.ok_or_else(|| damaged(offset, "event numbers run over"))?;
                self.ready.push_back(Batch {
                    first,
                    events: batch,
                });
                *at += HEAD + length;
                Ok(true)
            }
        }
    }
}

/// What bytes begin with.
enum Look {
    Frame {
        first: u64,
        events: u32,
        length: usize,
    },
    Nothing,
    /// It could be a frame; more bytes are needed to tell.
    Short,
}

fn look(generation: u64, bytes: &[u8]) -> Look {
    if bytes.len() < HEAD {
        return Look::Short;
    }
    let length = u32::from_le_bytes(array(bytes, 0)) as usize;
    let events = u32::from_le_bytes(array(bytes, 4));
    // An event takes more than one byte.
    if length > FRAME_MAX || events == 0 || events as usize > length {
        return Look::Nothing;
    }
    let Some(frame) = bytes.get(..HEAD + length) else {
        return Look::Short;
    };
    if frame_checksum(generation, frame) != array::<CHECKSUM>(frame, CHECKSUM) {
        return Look::Nothing;
    }
    Look::Frame {
        first: u64::from_le_bytes(array(bytes, 8)),
        events,
        length,
    }
}

/// Whether the bytes could begin a frame that comes after event `next`.
fn could_follow(next: u64, bytes: &[u8]) -> bool {
    // 2³² events are more than lie between two snapshots.
    let ahead = u64::from_le_bytes(array(bytes, 8)).checked_sub(next);
    ahead.is_some_and(|ahead| ahead < 1 << 32)
}

fn decode(mut payload: &[u8], events: u32) -> Result<Vec<Event>, String> {
    let mut all = Vec::new();
    while !payload.is_empty() {
        all.push(cbor::take(&mut payload)?);
    }
    if all.len() == events as usize {
        Ok(all)
    } else {
        Err(format!(
            "{events} events are promised, {} are there",
            all.len()
        ))
    }
}

fn damaged(offset: u64, what: &str) -> JournalError {
    JournalError::Damaged {
        offset,
        what: what.to_owned(),
    }
}

/// The checksum of a frame: of everything but itself, and the generation.
fn frame_checksum(generation: u64, frame: &[u8]) -> [u8; CHECKSUM] {
    checksum(&[
        &generation.to_le_bytes(),
        &frame[..CHECKSUM],
        &frame[HEAD..],
    ])
}

fn checksum(parts: &[&[u8]]) -> [u8; CHECKSUM] {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    array(hasher.finalize().as_bytes(), 0)
}

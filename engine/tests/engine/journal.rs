//! The journal and what is recovered of it.

use plimsoll::{
    Event, Generation, JournalError, JournalHeader, JournalReader, JournalWriter, Live, OpenLimits,
    Random, RecoveryError, SnapshotError, recover,
};
use proptest::prelude::*;

use crate::common::{Numbers, contexts};
use crate::live::{around, step};

const HEADER: JournalHeader = JournalHeader {
    generation: 3,
    first: 0,
};

fn start() -> Live {
    let random = Random::new(3).expect("3 arms");
    Live::new(around(Box::new(random)), OpenLimits::default())
}

/// Groups of events, and the state after each, the first before all.
fn life(groups: u64) -> (Vec<Vec<Event>>, Vec<Live>) {
    let (mut live, mut numbers, contexts) = (start(), Numbers(8), contexts(10, 2, 1));
    let (mut all, mut states) = (Vec::new(), vec![live.clone()]);
    for i in 0..groups {
        let group = step(&live, &mut numbers, i, &contexts);
        for event in &group {
            let _ = live.apply(event);
        }
        all.push(group);
        states.push(live.clone());
    }
    (all, states)
}

/// A journal of these groups, and where each frame ends; the first end is the header's.
fn written(header: JournalHeader, groups: &[Vec<Event>]) -> (Vec<u8>, Vec<usize>) {
    let (mut writer, mut bytes) = JournalWriter::new(header);
    let mut ends = vec![bytes.len()];
    for group in groups {
        let (frame, taken) = writer.frame(group).expect("fits");
        assert_eq!(taken, group.len());
        bytes.extend(frame);
        ends.push(bytes.len());
    }
    (bytes, ends)
}

fn read(
    bytes: &[u8],
    piece: usize,
) -> Result<(Vec<Vec<Event>>, plimsoll::JournalEnd), JournalError> {
    let (mut reader, mut groups) = (JournalReader::new(), Vec::new());
    for piece in bytes.chunks(piece) {
        let fed = reader.feed(piece);
        while let Some(batch) = reader.batch() {
            groups.push(batch.events);
        }
        fed?;
    }
    Ok((groups, reader.finish()?))
}

#[test]
fn s01_a_journal_torn_at_any_byte_gives_the_whole_groups_before() {
    let (groups, _) = life(6);
    let (bytes, ends) = written(HEADER, &groups);
    for cut in 0..=bytes.len() {
        let read = read(&bytes[..cut], 7);
        if cut < ends[0] {
            assert_eq!(read.map(|_| ()), Err(JournalError::NotJournal), "{cut}");
            continue;
        }
        let (got, end) = read.expect("torn, not damaged");
        let whole = ends.iter().filter(|end| **end <= cut).count() - 1;
        assert_eq!(got, groups[..whole], "{cut}");
        assert_eq!(end.offset, ends[whole] as u64);
        assert_eq!(end.dropped_bytes, (cut - ends[whole]) as u64);
    }
    // Zeros where the file grew and the data never came.
    let mut zeros = bytes[..ends[5]].to_vec();
    zeros.resize(bytes.len(), 0);
    let (got, end) = read(&zeros, 64).expect("torn");
    assert_eq!((got.len(), end.offset), (5, ends[5] as u64));
}

#[test]
fn s02_a_flipped_bit_is_named_by_its_offset_or_drops_the_last_group() {
    let (groups, _) = life(4);
    let (bytes, ends) = written(HEADER, &groups);
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            let told = read(&damaged, 50);
            let frame = ends.iter().filter(|end| **end <= at).count();
            match told {
                Err(JournalError::Damaged { offset, .. }) if frame > 0 => {
                    assert_eq!(offset, ends[frame - 1] as u64, "byte {at} bit {bit}");
                    assert!(frame < 4);
                }
                Err(_) => assert_eq!(frame, 0, "only the header may say otherwise"),
                Ok((got, end)) => {
                    assert_eq!(frame, 4, "byte {at} bit {bit}");
                    assert_eq!(got, groups[..3]);
                    assert_eq!(end.offset, ends[3] as u64);
                    assert_eq!(end.dropped_bytes, (bytes.len() - ends[3]) as u64);
                }
            }
        }
    }
}

#[test]
fn s02_a_damaged_newest_state_falls_back_loudly_and_loses_nothing() {
    let (groups, states) = life(9);
    let middle = &states[5];
    let (older, _) = written(HEADER, &groups[..5]);
    let header = JournalHeader {
        generation: 4,
        first: middle.sequence(),
    };
    let (newer, _) = written(header, &groups[5..]);
    let (first, second) = (states[0].snapshot(), middle.snapshot());
    let recovered = |newest: &[u8], older: Option<&[u8]>| {
        let generation = |number, snapshot, journal| Generation {
            number,
            snapshot: Some(snapshot),
            journal,
        };
        let all = [
            generation(4, newest, Some(&newer[..])),
            generation(3, &first[..], older),
        ];
        recover(&all, &|_, _| None)
    };
    let whole = recovered(&second, Some(&older)).expect("recovers");
    assert_eq!(whole.live, states[9]);
    assert!(whole.report.is_newest() && whole.report.generation == 4);
    assert_eq!(
        whole.report.events(),
        states[9].sequence() - middle.sequence()
    );

    let mut damaged = second.clone();
    damaged[70] ^= 4;
    let fallen = recovered(&damaged, Some(&older)).expect("recovers");
    assert_eq!(fallen.live.snapshot(), states[9].snapshot());
    assert_eq!(fallen.report.generation, 3);
    assert_eq!(
        fallen.report.refused,
        [(4, SnapshotError::Corrupt { offset: 20 })]
    );
    assert_eq!(fallen.report.events(), states[9].sequence());
    let told = fallen.report.to_string();
    assert!(
        told.starts_with("warning[P0554]: generation 4 cannot be used"),
        "{told}"
    );
    assert!(told.contains("fell back to generation 3"), "{told}");

    // Without the older journal, events are missing: no state pretends to be whole.
    let gap = recovered(&damaged, None).map(|_| ()).expect_err("a gap");
    assert_eq!(
        gap,
        RecoveryError::Gap {
            generation: 4,
            expected: 0,
            got: middle.sequence()
        }
    );
    let (journal, ends) = written(HEADER, &groups[..5]);
    let mut broken = journal.clone();
    broken[ends[1] + 40] ^= 1;
    let error = recovered(&damaged, Some(&broken))
        .map(|_| ())
        .expect_err("damage");
    assert!(
        matches!(error, RecoveryError::Journal { generation: 3, .. }),
        "{error}"
    );
    let cut = recovered(&damaged, Some(&journal[..ends[4]])).map(|_| ());
    assert!(matches!(cut, Err(RecoveryError::Gap { .. })));
    let none = recover(&[], &|_, _| None).map(|_| ()).expect_err("nothing");
    assert_eq!(none.code(), "P0562");
}

/// Cut off or changed anywhere, the newest snapshot is never used and never missed.
#[test]
fn s02_any_damage_to_the_newest_state_falls_back() {
    let (groups, states) = life(3);
    let (older, _) = written(HEADER, &groups[..2]);
    let header = JournalHeader {
        generation: 4,
        first: states[2].sequence(),
    };
    let (newer, _) = written(header, &groups[2..]);
    let (first, newest, want) = (
        states[0].snapshot(),
        states[2].snapshot(),
        states[3].snapshot(),
    );
    let check = |damaged: &[u8], told: &str| {
        let generation = |number, snapshot, journal| Generation {
            number,
            snapshot: Some(snapshot),
            journal: Some(journal),
        };
        let all = [
            generation(4, damaged, &newer[..]),
            generation(3, &first[..], &older[..]),
        ];
        let recovered = recover(&all, &|_, _| None).expect(told);
        assert!(!recovered.report.is_newest(), "{told}");
        assert!(recovered.live.snapshot() == want, "{told}");
    };
    for at in 0..newest.len() {
        check(&newest[..at], &format!("cut at {at}"));
        let mut flipped = newest.clone();
        flipped[at] ^= 1 << (at % 8);
        check(&flipped, &format!("bit {} of byte {at}", at % 8));
    }
}

#[test]
fn s05_a_newer_journal_is_refused_with_both_versions() {
    let (_, mut bytes) = JournalWriter::new(HEADER);
    bytes[8..12].copy_from_slice(&9_u32.to_le_bytes());
    let expect = JournalError::Newer { got: 9, newest: 1 };
    assert_eq!(read(&bytes, 100).map(|_| ()), Err(expect));
}

#[test]
fn s10_lengths_without_end_are_bounded() {
    let (_, header) = JournalWriter::new(HEADER);
    for length in [u32::MAX, 1 << 24, (1 << 24) + 1, 0] {
        let mut bytes = header.clone();
        bytes.extend(length.to_le_bytes());
        bytes.extend([0xFF; 4]);
        bytes.extend([0; 200]);
        let (groups, end) = read(&bytes, 1_000).expect("torn");
        assert_eq!((groups.len(), end.dropped_bytes), (0, 208));
    }
    // More than one frame of rubbish is not what a crash leaves.
    let mut rubbish = header;
    rubbish.resize(rubbish.len() + plimsoll::FRAME_MAX + 100, 0);
    assert!(matches!(
        read(&rubbish, 1 << 16),
        Err(JournalError::Damaged { offset: 44, .. })
    ));
}

#[test]
fn large_groups_are_split_and_too_large_events_are_refused() {
    let context = plimsoll::Context {
        features: vec![0.123; 20_000],
        ..plimsoll::Context::default()
    };
    let live = start();
    let event = crate::live::decided(live.router(), &context, "a", 0);
    let events = vec![event; 40];
    let (mut writer, _) = JournalWriter::new(HEADER);
    let (mut left, mut frames) = (&events[..], 0);
    while !left.is_empty() {
        let (frame, taken) = writer.frame(left).expect("fits");
        assert!(frame.len() < 2_000_000);
        left = &left[taken..];
        frames += 1;
    }
    assert!(frames > 3);
    assert_eq!(writer.next(), 40);
    let huge = plimsoll::Context {
        features: vec![0.123; 2_000_000],
        ..plimsoll::Context::default()
    };
    let event = crate::live::decided(live.router(), &huge, "a", 0);
    assert!(matches!(
        writer.frame(&[event]),
        Err(JournalError::TooLarge { .. })
    ));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn s10_any_bytes_are_a_journal_or_an_error(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        piece in 1_usize..100,
    ) {
        let _ = read(&bytes, piece);
        let (_, mut journal) = JournalWriter::new(HEADER);
        let whole = journal.len() as u64;
        journal.extend(&bytes);
        if let Ok((groups, end)) = read(&journal, piece) {
            prop_assert!(groups.is_empty() && end.offset == whole);
        }
    }

    /// Any damage to valid bytes: what is read is a beginning of what was written.
    #[test]
    fn s10_damaged_journals_never_give_other_events(
        at in any::<prop::sample::Index>(),
        with in prop::collection::vec(any::<u8>(), 1..40),
        piece in 1_usize..200,
        cut in any::<prop::sample::Index>(),
    ) {
        let (groups, _) = life(4);
        let (mut bytes, _) = written(HEADER, &groups);
        let at = at.index(bytes.len());
        for (byte, with) in bytes[at..].iter_mut().zip(&with) {
            *byte = *with;
        }
        bytes.truncate(cut.index(bytes.len() + 1));
        if let Ok((got, _)) = read(&bytes, piece) {
            prop_assert_eq!(&got[..], &groups[..got.len()]);
        }
    }
}

/// Claims of many items, one in another, would each be given room: 80 bytes took 80 MB.
#[test]
fn s10_nested_claims_of_items_take_no_memory() {
    for (what, claim) in [
        ("map", &[0xb9, 0xff, 0xff][..]),
        ("list", &[0x99, 0xff, 0xff]),
    ] {
        let mut payload = claim.repeat(80);
        payload.extend([0; 100]);
        let (_, mut bytes) = JournalWriter::new(HEADER);
        bytes.extend(frame(HEADER.generation, &payload));
        let mut read_it = None;
        let most =
            allocation_counter::measure(|| read_it = Some(read(&bytes, bytes.len()))).bytes_max;
        let damaged = matches!(read_it, Some(Err(JournalError::Damaged { .. })));
        assert!(damaged, "{what}: {read_it:?}");
        assert!(most < 16 << 10, "{what}: {} bytes took {most}", bytes.len());
    }
}

/// A frame of one event with a right checksum, whatever its payload says.
fn frame(generation: u64, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("small");
    let mut bytes = length.to_le_bytes().to_vec();
    bytes.extend(1_u32.to_le_bytes());
    bytes.extend(0_u64.to_le_bytes());
    let mut hasher = blake3::Hasher::new();
    hasher
        .update(&generation.to_le_bytes())
        .update(&bytes)
        .update(payload);
    bytes.extend(&hasher.finalize().as_bytes()[..16]);
    bytes.extend(payload);
    bytes
}

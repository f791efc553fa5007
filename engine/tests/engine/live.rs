//! A router in service: feedback by decision id, and the whole state as bytes.

use plimsoll::{
    Applied, ArmSpec, Call, Context, CostPredictor, Counts, Difference, Event, Fixed,
    LambdaControl, Live, OpenLimits, Policy, PredictorConfig, PredictorKind, Random, Report,
    Reward, Router, RulePolicy, Seed, SnapshotError, Usd, Workspace,
};
use proptest::prelude::*;

use crate::bandits::every_bandit;
use crate::common::{
    AVERAGE, FLOOR, INVERSE_GAP, Numbers, arm, arms, contexts, fit, plain, quality, router, truth,
};

/// A router of each kind that is built in.
pub(crate) fn routers() -> Vec<(String, Router)> {
    let mut all: Vec<(String, Router)> = PredictorKind::ALL
        .into_iter()
        .map(|kind| (format!("rule over {kind}"), plain(kind)))
        .collect();
    let forgetting = PredictorConfig {
        forgetting: 0.98,
        ..PredictorConfig::new(PredictorKind::Linear)
    };
    all.push(("floor".to_owned(), router(&forgetting, FLOOR, INVERSE_GAP)));
    all.push(("controlled".to_owned(), controlled()));
    let mut policies = every_bandit(3, 0.99, Reward::default());
    policies.push(Box::new(Fixed::new(3, 1).expect("arm 1 of 3")));
    policies.push(Box::new(Random::new(3).expect("3 arms")));
    for policy in policies {
        all.push((policy.name().to_owned(), around(policy)));
    }
    all
}

pub(crate) fn around(policy: Box<dyn Policy>) -> Router {
    let arms = arms(policy.arms());
    let cost = CostPredictor::fit(&arms, []).expect("priced");
    Router::with_policy(arms, None, cost, policy).expect("the parts fit")
}

fn controlled() -> Router {
    let arms = arms(3);
    Router::new(plimsoll::RouterParts {
        predictor: fit(
            &PredictorConfig::new(PredictorKind::Linear),
            &contexts(80, 4, 9),
            3,
            0.3,
        ),
        cost: CostPredictor::fit(&arms, []).expect("priced"),
        arms,
        features: None,
        calibration: vec![],
        rule: AVERAGE,
        exploration: INVERSE_GAP,
        control: Some(LambdaControl::new(0.7)),
    })
    .expect("the parts fit")
}

const LIMITS: OpenLimits = OpenLimits {
    ttl_ms: 10_000,
    open_max: 40,
    closed_max: 30,
};

pub(crate) fn decided(router: &Router, context: &Context, id: &str, at_ms: u64) -> Event {
    let mut work = Workspace::default();
    let call = Call::new(context, id, Seed(5));
    let choice = router.choose(&call, &mut work).expect("decides");
    Event::Decided(router.decided(&call, choice, at_ms, &mut work))
}

/// A life in `n` steps from a seed: decisions, bills, labels; delayed, twice, unknown, invalid.
pub(crate) fn step(live: &Live, numbers: &mut Numbers, i: u64, contexts: &[Context]) -> Vec<Event> {
    let context = &contexts[usize::try_from(i).expect("small") % contexts.len()];
    let at_ms = 100 * i;
    let mut events = vec![decided(live.router(), context, &format!("r{i}"), at_ms)];
    for _ in 0..2 {
        let reach = numbers.next() * numbers.next() * 150.0;
        let back = (1..150).take_while(|n| f64::from(*n) <= reach).count() as u64;
        let mut report = Report::new(format!("r{}", i.saturating_sub(back)), at_ms + 50);
        if numbers.next() < 0.7 {
            report.quality = Some(quality(truth(context, 1)));
        }
        if numbers.next() < 0.5 {
            report.cost = Some(Usd::from_f64(numbers.next() * 1e-3).expect("an amount"));
            report.output_tokens = Some(100 + i % 50);
        }
        if numbers.next() < 0.1 {
            report.served = Some(arm(["arm-0", "arm-2", "nobody"][(i % 3) as usize]));
        }
        events.push(Event::Reported(report));
    }
    if i.is_multiple_of(17) {
        let archived = i.is_multiple_of(2);
        events.push(Event::ArmArchived {
            arm: arm("arm-0"),
            archived,
        });
    }
    events
}

fn lived(router: Router, steps: u64) -> (Live, Vec<Event>) {
    let (mut live, mut all) = (Live::new(router, LIMITS), Vec::new());
    let (mut numbers, contexts) = (Numbers(4), contexts(50, 4, 12));
    for i in 0..steps {
        for event in step(&live, &mut numbers, i, &contexts) {
            let _ = live.apply(&event);
            all.push(event);
        }
    }
    (live, all)
}

#[test]
fn s03_every_policy_resumes_bit_for_bit_anywhere_in_its_life() {
    for (name, router) in routers() {
        let (straight, events) = lived(router.clone(), 120);
        for cut in [0, 1, 100, events.len() / 2, events.len()] {
            let mut live = Live::new(router.clone(), LIMITS);
            for event in &events[..cut] {
                let _ = live.apply(event);
            }
            let stored = live.snapshot();
            let mut resumed = Live::restore(&stored).expect("a state");
            assert_eq!(resumed.snapshot(), stored, "{name}");
            for event in &events[cut..] {
                assert_eq!(resumed.apply(event), live.apply(event), "{name}");
            }
            assert_eq!(
                resumed.state_hash(),
                straight.state_hash(),
                "{name} at {cut}"
            );
            let probe = &contexts(1, 4, 3)[0];
            let call = Call::new(probe, "probe", Seed(1));
            let mut work = Workspace::default();
            assert_eq!(
                resumed.router().choose(&call, &mut work),
                straight.router().choose(&call, &mut work)
            );
        }
    }
}

fn random() -> Live {
    Live::new(around(Box::new(Random::new(3).expect("3 arms"))), LIMITS)
}

fn label(id: &str, at_ms: u64) -> Event {
    Event::Reported(Report::label(id, at_ms, quality(1.0)))
}

#[test]
fn e10_feedback_by_id_is_idempotent_and_counted() {
    let context = contexts(1, 4, 1).remove(0);
    let mut live = random();
    let first = decided(live.router(), &context, "a", 0);
    assert_eq!(live.apply(&first), Ok(Applied::Opened));
    assert_eq!(live.apply(&first), Ok(Applied::OpenedBefore));
    assert_eq!(live.apply(&label("nobody", 1)), Ok(Applied::Unknown));
    // The bill first, then the bill again, then the label, then everything again.
    let mut bill = Report::new("a", 2);
    bill.cost = Some("0.001".parse().expect("an amount"));
    bill.output_tokens = Some(20);
    assert_eq!(
        live.apply(&Event::Reported(bill.clone())),
        Ok(Applied::Learned)
    );
    let billed = live.router().state_hash();
    assert_eq!(
        live.apply(&Event::Reported(bill.clone())),
        Ok(Applied::Duplicate)
    );
    assert_eq!(live.router().state_hash(), billed);
    assert_eq!(live.apply(&label("a", 9_000)), Ok(Applied::Learned));
    let settled = live.router().state_hash();
    for again in [label("a", 9_001), Event::Reported(bill), first] {
        let _ = live.apply(&again);
    }
    assert_eq!(live.router().state_hash(), settled);
    // Late: the decision is 10 s old, and a millisecond more.
    let second = decided(live.router(), &context, "b", 20_000);
    let third = decided(live.router(), &context, "c", 20_001);
    live.apply(&second).expect("opens");
    live.apply(&third).expect("opens");
    assert_eq!(live.apply(&label("b", 30_001)), Ok(Applied::Late));
    assert_eq!(live.apply(&label("c", 30_001)), Ok(Applied::Learned));
    assert_eq!(
        live.counts(),
        Counts {
            opened: 3,
            opened_before: 2,
            learned: 3,
            duplicate: 3,
            unknown: 1,
            late: 1,
            expired: 1,
            ..Counts::default()
        }
    );
    assert_eq!((live.open_decisions(), live.now_ms()), (0, 30_001));
}

#[test]
fn e10_open_decisions_are_bounded_and_the_oldest_goes_first() {
    let context = contexts(1, 4, 1).remove(0);
    let mut live = random();
    // The younger half comes first: age is by event time, not by arrival.
    for i in (0..100_u64).map(|i| (i + 50) % 100) {
        let event = decided(live.router(), &context, &format!("r{i}"), i);
        live.apply(&event).expect("opens");
        assert!(live.open_decisions() <= 40);
    }
    for i in 0..100 {
        let open = live.open_decision(&format!("r{i}")).is_some();
        assert_eq!(open, i >= 60, "r{i}");
    }
    assert_eq!(live.counts().evicted, 60);
    // Of the 60 that went, the last 30 are remembered.
    let told: Vec<_> = (0..60)
        .map(|i| live.apply(&label(&format!("r{i}"), 100)))
        .collect();
    let late = told
        .iter()
        .filter(|told| **told == Ok(Applied::Late))
        .count();
    let unknown = told
        .iter()
        .filter(|told| **told == Ok(Applied::Unknown))
        .count();
    assert_eq!((late, unknown), (30, 30));
    // However long the stream, the state does not grow.
    let mut sizes = Vec::new();
    for i in 100..2_000_u64 {
        let event = decided(live.router(), &context, &format!("r{i:09}"), i);
        live.apply(&event).expect("opens");
        sizes.push(live.snapshot().len());
    }
    let late = &sizes[sizes.len() / 2..];
    assert!(late.iter().max().expect("some") - late.iter().min().expect("some") < 1_000);
}

#[test]
fn e10_sampled_and_served_arms_are_kept_apart() {
    let context = contexts(1, 4, 1).remove(0);
    let live = Live::new(plain(PredictorKind::Beta), LIMITS);
    let event = decided(live.router(), &context, "a", 0);
    let Event::Decided(told) = &event else {
        unreachable!("a decision")
    };
    let other = arm(if told.arm.as_str() == "arm-0" {
        "arm-1"
    } else {
        "arm-0"
    });
    let mut by_label = live.clone();
    by_label.apply(&event).expect("opens");
    let mut report = Report::label("a", 1, quality(0.25));
    report.served = Some(other.clone());
    by_label.apply(&Event::Reported(report)).expect("learns");
    // The fallback's arm learned, without a propensity, as if it had been told so directly.
    let mut direct = live.router().clone();
    let feedback = plimsoll::Feedback::new(other.clone(), quality(0.25));
    direct.feedback(&context, &feedback).expect("learns");
    assert_eq!(by_label.router().state_hash(), direct.state_hash());
    assert_eq!(by_label.counts().served_by_another, 1);
    // Told of the fallback before the label: the same.
    let mut noted = live.clone();
    noted.apply(&event).expect("opens");
    let mut report = Report::new("a", 1);
    report.served = Some(other.clone());
    assert_eq!(noted.apply(&Event::Reported(report)), Ok(Applied::Noted));
    let open = noted.open_decision("a").expect("open");
    assert_eq!((open.sampled(), open.served()), (&told.arm, Some(&other)));
    let report = Report::label("a", 2, quality(0.25));
    noted.apply(&Event::Reported(report)).expect("learns");
    assert_eq!(noted.router().state_hash(), direct.state_hash());
    assert_eq!(noted.counts().served_by_another, 1);
}

/// Of a fallback's answer, λ's control learns nothing: the rule did not choose it.
#[test]
fn e10_a_fallback_does_not_steer_lambda() {
    let context = contexts(1, 4, 1).remove(0);
    let mut live = Live::new(controlled(), LIMITS);
    let rule = |live: &Live| live.router().rule_policy().map(RulePolicy::rule).cloned();
    let event = decided(live.router(), &context, "a", 0);
    let Event::Decided(told) = &event else {
        unreachable!("a decision")
    };
    assert!(told.policy_chance.is_some());
    let other = arm(if told.arm.as_str() == "arm-0" {
        "arm-1"
    } else {
        "arm-0"
    });
    live.apply(&event).expect("opens");
    let before = rule(&live);
    let mut report = Report::label("a", 1, quality(0.0));
    report.served = Some(other);
    live.apply(&Event::Reported(report)).expect("learns");
    assert_eq!(rule(&live), before);
    let mut steered = false;
    for i in 0..20 {
        let id = format!("b{i}");
        let event = decided(live.router(), &context, &id, 2);
        live.apply(&event).expect("opens");
        live.apply(&Event::Reported(Report::label(id, 3, quality(0.0))))
            .expect("learns");
        steered |= rule(&live) != before;
    }
    assert!(steered, "an answer of the sampled arm does");
}

#[test]
fn e01_invalid_events_change_nothing_and_are_numbered() {
    let context = contexts(1, 4, 1).remove(0);
    let mut live = Live::new(plain(PredictorKind::Linear), LIMITS);
    let event = decided(live.router(), &context, "a", 0);
    live.apply(&event).expect("opens");
    let router = live.router().state_hash();
    let mut wrong = Report::label("a", 1, quality(1.0));
    wrong.served = Some(arm("nobody"));
    let mut negative = Report::label("a", 1, quality(1.0));
    negative.cost = Some(
        "-1".parse()
            .unwrap_or(Usd::from_f64(-1.0).expect("an amount")),
    );
    let mut heavy = Report::label("a", 1, quality(1.0));
    heavy.weight = f64::NAN;
    let unusable = Event::Decided(plimsoll::Decided {
        id: "b".to_owned(),
        at_ms: 1,
        context: Context {
            features: vec![f64::NAN],
            ..Context::default()
        },
        arm: arm("arm-0"),
        propensity: plimsoll::Propensity::ONE,
        policy_chance: None,
        held: None,
    });
    let unlikely = |chance| {
        let Event::Decided(mut decided) = decided(live.router(), &context, "c", 1) else {
            unreachable!("a decision");
        };
        decided.policy_chance = Some(chance);
        Event::Decided(decided)
    };
    let chances = [f64::NAN, -0.1, 1.5].map(unlikely);
    let reports = [wrong, negative, heavy].map(Event::Reported);
    for (i, event) in reports
        .iter()
        .chain([&unusable])
        .chain(&chances)
        .enumerate()
    {
        let error = live.apply(event).expect_err("invalid");
        assert!(error.code().starts_with('P') && !error.help().is_empty());
        assert_eq!(live.router().state_hash(), router);
        assert_eq!(
            (live.sequence(), live.counts().refused),
            (2 + i as u64, 1 + i as u64)
        );
        assert!(Live::restore(&live.snapshot()).is_ok());
    }
    assert_eq!(live.apply(&label("a", 2)), Ok(Applied::Learned));
}

#[test]
fn s02_every_truncation_and_flipped_bit_of_a_state_is_found() {
    let mut live = random();
    let event = decided(live.router(), &contexts(1, 4, 1)[0], "a", 0);
    live.apply(&event).expect("opens");
    let bytes = live.snapshot();
    for len in 0..bytes.len() {
        assert!(Live::restore(&bytes[..len]).is_err(), "{len}");
    }
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            assert!(Live::restore(&damaged).is_err(), "byte {at} bit {bit}");
        }
    }
    let other = Live::restore(&live.router().snapshot()).map(|_| ());
    assert_eq!(other, Err(SnapshotError::NotLive));
}

#[test]
fn s04_deciding_and_reading_change_no_state() {
    let (live, _) = lived(plain(PredictorKind::Knn), 30);
    let before = live.state_hash();
    for (i, context) in contexts(20, 4, 2).iter().enumerate() {
        let _ = decided(live.router(), context, &i.to_string(), 1 << 40);
        let _ = live.open_decision("r1");
    }
    assert_eq!(live.state_hash(), before);
}

#[test]
fn s05_a_newer_state_is_refused_with_both_versions() {
    let mut bytes = random().snapshot();
    bytes[8..12].copy_from_slice(&7_u32.to_le_bytes());
    let expect = SnapshotError::Newer { got: 7, newest: 1 };
    assert_eq!(Live::restore(&bytes).map(|_| ()), Err(expect));
}

#[test]
fn s06_differences_are_named_and_carried_over() {
    let stored = plain(PredictorKind::Beta);
    assert_eq!(stored.expect_like(&stored.clone()), Ok(()));
    let mut specs = arms(3);
    specs.rotate_left(1);
    specs[0].context_window_tokens = Some(8_000);
    specs[2] = ArmSpec::new(arm("new"))
        .priced("1".parse().expect("a price"), "1".parse().expect("a price"));
    let wanted = Router::with_policy(
        specs.clone(),
        None,
        CostPredictor::fit(&specs, []).expect("priced"),
        Box::new(Random::new(3).expect("3 arms")),
    )
    .expect("a router");
    let refused = stored.expect_like(&wanted).expect_err("differs");
    let told = refused.to_string();
    for part in [
        "policy `rule` is stored, `random` wanted",
        "4 features are stored, any wanted",
        "arm `arm-0` is stored and not wanted",
        "arm `new` is wanted and not stored",
        "arm `arm-1` differs in context_window_tokens",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
    let mut difference = Difference::between(&stored, &wanted);
    assert!(difference.events().is_err(), "no event changes a policy");
    (difference.policy, difference.dimensions) = (None, None);
    let mut live = Live::new(stored, LIMITS);
    for event in difference.events().expect("arms only") {
        assert_eq!(live.apply(&event), Ok(Applied::ArmsChanged));
    }
    let left = Difference::between(live.router(), &wanted);
    assert_eq!(
        (left.removed.len(), left.changed.len(), left.added.len()),
        (0, 0, 1)
    );
    assert!(live.router().arms()[0].archived);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn s10_any_bytes_are_a_state_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Live::restore(&bytes);
        let _ = Live::restore(&sealed(&bytes));
    }

    #[test]
    fn s10_damage_under_a_valid_checksum_is_harmless(
        at in any::<prop::sample::Index>(),
        value in any::<u8>(),
        kind in prop::sample::select(PredictorKind::ALL.to_vec()),
    ) {
        let (live, events) = lived(plain(kind), 3);
        let bytes = live.snapshot();
        let mut payload = bytes[52..].to_vec();
        let at = at.index(payload.len());
        payload[at] = value;
        if let Ok(mut live) = Live::restore(&sealed(&payload)) {
            for event in &events {
                let _ = live.apply(event);
            }
            let _ = live.snapshot();
        }
    }
}

#[test]
fn s10_lengths_without_end_are_refused() {
    for head in [0x9B_u8, 0xBB, 0x5B, 0x7B] {
        let mut payload = vec![head];
        payload.extend_from_slice(&[0xFF; 8]);
        assert!(matches!(
            Live::restore(&sealed(&payload)),
            Err(SnapshotError::Invalid { .. })
        ));
    }
    let mut huge = random().snapshot();
    huge[12..20].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(matches!(
        Live::restore(&huge),
        Err(SnapshotError::Length { .. })
    ));
}

fn sealed(payload: &[u8]) -> Vec<u8> {
    let mut bytes = b"PLIMLIVE".to_vec();
    bytes.extend_from_slice(&1_u32.to_le_bytes());
    bytes.extend_from_slice(&(payload.len() as u64).to_le_bytes());
    let mut hasher = blake3::Hasher::new();
    hasher.update(&bytes).update(payload);
    bytes.extend_from_slice(hasher.finalize().as_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

const GOLDEN: [(&str, u64); 2] = [("linear", 3), ("beta", 4)];

/// What a golden state decides: any change of a bit shows.
fn decisions(live: &Live) -> String {
    let mut hasher = blake3::Hasher::new();
    let mut work = Workspace::default();
    for (i, context) in contexts(50, 4, 44).iter().enumerate() {
        let key = i.to_string();
        let call = Call::new(context, &key, Seed(2));
        let choice = live.router().choose(&call, &mut work).expect("decides");
        hasher.update(&choice.propensity.get().to_bits().to_le_bytes());
        hasher.update(&(choice.arm as u64).to_le_bytes());
    }
    let (open, sequence) = (live.open_decisions(), live.sequence());
    let decided = hasher.finalize().to_hex();
    format!("{sequence} {open} {:?} {decided}", live.counts())
}

fn golden(name: &str) -> std::path::PathBuf {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/live-v1");
    folder.join(name)
}

/// The state and journal of a golden name, made anew.
fn written(kind: &str, seed: u64) -> (Live, Vec<u8>) {
    let kind = PredictorKind::ALL
        .into_iter()
        .find(|k| k.to_string() == kind);
    let mut live = Live::new(plain(kind.expect("a kind")), LIMITS);
    let (mut numbers, contexts) = (Numbers(seed), contexts(20, 4, 12));
    for i in 0..30 {
        for event in step(&live, &mut numbers, i, &contexts) {
            let _ = live.apply(&event);
        }
    }
    let header = plimsoll::JournalHeader {
        generation: 1,
        first: live.sequence(),
    };
    let (mut writer, mut journal) = plimsoll::JournalWriter::new(header);
    let mut later = live.clone();
    for i in 30..40 {
        let events = step(&later, &mut numbers, i, &contexts);
        journal.extend(writer.frame(&events).expect("fits").0);
        for event in &events {
            let _ = later.apply(event);
        }
    }
    (live, journal)
}

/// States and journals of every version ever written, and what they led to.
#[test]
fn s05_older_states_and_journals_are_read_for_ever() {
    for (kind, _) in GOLDEN {
        let read =
            |ending: &str| std::fs::read(golden(&format!("{kind}.{ending}"))).expect("golden");
        let (snapshot, journal) = (read("snapshot"), read("journal"));
        let generation = plimsoll::Generation {
            number: 1,
            snapshot: Some(&snapshot),
            journal: Some(&journal),
        };
        let before = Live::restore(&snapshot).expect("a state of version 1");
        let after = plimsoll::recover(&[generation], &|_, _| None).expect("a journal of version 1");
        let told = format!("{}\n{}\n", decisions(&before), decisions(&after.live));
        assert_eq!(
            told,
            String::from_utf8(read("txt")).expect("text"),
            "{kind}"
        );
        let again = Live::restore(&before.snapshot()).expect("the newest version");
        assert_eq!(again, before);
    }
}

/// ROBUSTNESS.md S07: the same bytes on every machine, as long as the format is the same.
#[test]
fn s07_states_and_journals_have_known_bytes() {
    let mut live = random();
    let event = decided(live.router(), &contexts(1, 4, 1)[0], "a", 258);
    live.apply(&event).expect("opens");
    let bytes = live.snapshot();
    assert_eq!(&bytes[..12], b"PLIMLIVE\x01\0\0\0");
    let length = u64::try_from(bytes.len() - 52).expect("small");
    assert_eq!(bytes[12..20], length.to_le_bytes());
    let header = plimsoll::JournalHeader {
        generation: 258,
        first: 1,
    };
    let (mut writer, bytes) = plimsoll::JournalWriter::new(header);
    assert_eq!(
        &bytes[..28],
        b"PLIMJRNL\x01\0\0\0\x02\x01\0\0\0\0\0\0\x01\0\0\0\0\0\0\0"
    );
    let archived = Event::ArmArchived {
        arm: arm("a"),
        archived: true,
    };
    let (frame, _) = writer.frame(&[archived]).expect("fits");
    let head = [36, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(frame[..16], head);
    let payload = b"\xa3eeventlarm-archivedcarmaaharchived\xf5";
    assert_eq!(&frame[32..], payload);
}

/// `cargo test -p plimsoll --test engine write_golden -- --ignored`, once per format version.
#[test]
#[ignore = "writes the golden files of this version; those of older versions are kept for ever"]
fn write_golden() {
    std::fs::create_dir_all(golden("")).expect("a folder");
    for (kind, seed) in GOLDEN {
        let (live, journal) = written(kind, seed);
        let snapshot = live.snapshot();
        let generation = plimsoll::Generation {
            number: 1,
            snapshot: Some(&snapshot),
            journal: Some(&journal),
        };
        let after = plimsoll::recover(&[generation], &|_, _| None).expect("recovers");
        let told = format!("{}\n{}\n", decisions(&live), decisions(&after.live));
        for (ending, bytes) in [
            ("snapshot", &snapshot[..]),
            ("journal", &journal),
            ("txt", told.as_bytes()),
        ] {
            std::fs::write(golden(&format!("{kind}.{ending}")), bytes).expect("writable");
        }
    }
}

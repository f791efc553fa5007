//! Bytes of a router in service.

use ciborium::Value;
use plimsoll::{LIVE_MAGIC, LIVE_VERSION, Live, SNAPSHOT_MAGIC, SNAPSHOT_VERSION};

use crate::seal::{bounded, cbor, item, payload, seal};
use crate::work::put_to_work;

/// A service's payload. Layout: CBOR items: sequence, counts, the router's payload, decisions, and
/// the ledger, which may be missing.
#[must_use]
pub fn live(mut data: &[u8]) -> bool {
    let mut items = Vec::new();
    while let Some(item) = item(&mut data) {
        items.push(item);
    }
    let [sequence, counts, router, parts @ ..] = items.as_slice() else {
        return false;
    };
    let value = |bytes: &[u8]| -> Value { ciborium::from_reader(bytes).expect("was read before") };
    let part = |name: &str, bytes: Vec<u8>| {
        let text = |text: &str| Value::Text(text.to_owned());
        Value::Map(vec![
            (text("name"), text(name)),
            (text("bytes"), Value::Bytes(bytes)),
        ])
    };
    let mut all = vec![part(
        "router",
        seal(SNAPSHOT_MAGIC, SNAPSHOT_VERSION, router),
    )];
    for (name, bytes) in ["decisions", "spending", "more"].iter().zip(parts) {
        all.push(part(name, bytes.to_vec()));
    }
    let record = Value::Map(vec![
        (Value::Text("sequence".into()), value(sequence)),
        (Value::Text("counts".into()), value(counts)),
        (Value::Text("parts".into()), Value::Array(all)),
    ]);
    let bytes = seal(LIVE_MAGIC, LIVE_VERSION, &cbor(&record));
    let Ok(mut live) = bounded(&bytes, || Live::restore(&bytes)) else {
        return false;
    };
    serve(&mut live, true);
    put_to_work(&mut live.router().clone(), true);
    true
}

/// The input that makes this state.
pub(crate) fn disassemble(live: &Live) -> Vec<u8> {
    let snapshot = live.snapshot();
    let record: Value = ciborium::from_reader(payload(&snapshot)).expect("a record");
    let fields = record.as_map().expect("a map");
    let field = |name: &str| {
        let found = fields.iter().find(|(key, _)| key.as_text() == Some(name));
        &found.expect("a field").1
    };
    let mut input = cbor(field("sequence"));
    input.extend(cbor(field("counts")));
    for part in field("parts").as_array().expect("a list") {
        let part = part.as_map().expect("a map");
        let bytes = part
            .iter()
            .find_map(|(_, value)| value.as_bytes())
            .expect("bytes");
        let router = part
            .iter()
            .any(|(_, value)| value.as_text() == Some("router"));
        input.extend(if router { payload(bytes) } else { bytes });
    }
    input
}

/// Opens, bills and releases decisions; what comes of it can be stored.
pub(crate) fn serve(live: &mut Live, forged: bool) {
    use plimsoll::{Call, Context, Event, Quality, Report, Seed, Usd, Workspace};
    let before = live.snapshot();
    assert_eq!(Live::restore(&before).expect("a state").snapshot(), before);
    let context = Context {
        features: vec![0.5; live.router().policy().dimensions().unwrap_or(0).min(64)],
        input_tokens: Some(100),
        ..Context::default()
    };
    let mut work = Workspace::default();
    for (i, at_ms) in [
        live.now_ms(),
        live.now_ms().saturating_add(700_000),
        u64::MAX,
    ]
    .into_iter()
    .enumerate()
    {
        let key = format!("request {i}");
        let call = Call {
            tenant: Some("acme"),
            output_tokens_max: Some(50),
            ..Call::new(&context, &key, Seed(3))
        };
        if let Ok((_, decided)) = live.decide(&call, at_ms, &mut work) {
            let _ = live.apply(&Event::Decided(decided));
        }
        let mut report = Report::label(key.clone(), at_ms, Quality::new(1.0).expect("in range"));
        report.cost = Some(Usd::from_pico(1_000));
        let _ = live.apply(&Event::Reported(report));
        let _ = live.apply(&Event::Released { id: key, at_ms });
    }
    let after = live.snapshot();
    match Live::restore(&after) {
        Ok(restored) => assert_eq!(restored.snapshot(), after),
        Err(error) => assert!(forged, "what has served can be stored: {error}"),
    }
    let _ = live.counts();
}

//! Text that people write: policies, amounts, prompts.

use std::sync::OnceLock;

use plimsoll::{
    FeatureMap, FeatureMapConfig, PolicyConfig, Price, RawContext, Scope, TextFeatures, Usd,
};

/// A policy file: what is valid is written back as it was read.
#[must_use]
pub fn config(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else {
        return false;
    };
    let Ok(config) = toml::from_str::<PolicyConfig>(text) else {
        return false;
    };
    if let Err(errors) = config.validate() {
        assert!(!errors.is_empty());
        for error in errors {
            assert!(!error.to_string().is_empty() && !error.key().is_empty());
        }
        return false;
    }
    let written = toml::to_string(&config).expect("a valid policy can be written");
    let again: PolicyConfig = toml::from_str(&written).expect("and read");
    assert_eq!(again, config);
    assert!(again.validate().is_ok());
    if let Some(kind) = config.predictor.kind.kind() {
        let settings = config.predictor.config(kind);
        assert!(settings.validate().is_ok(), "{settings:?}");
    }
    true
}

/// An amount, a price or a scope: whatever is read is written so that it is read the same.
#[must_use]
pub fn money(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else {
        return false;
    };
    let amount = text.parse::<Usd>();
    if let Ok(amount) = amount {
        assert_eq!(amount.to_string().parse(), Ok(amount));
        let _ = amount.checked_add(amount);
        let _ = Usd::from_f64(amount.as_f64());
    }
    if let Ok(price) = text.parse::<Price>() {
        assert_eq!(price.to_string().parse(), Ok(price));
        assert!(price.of(u64::MAX) >= price.of(1));
    }
    if let Ok(dollars) = text.parse::<f64>() {
        let _ = Usd::from_f64(dollars);
    }
    if let Ok(scope) = Scope::try_from(text.to_owned()) {
        assert_eq!(scope.to_string(), text);
    }
    amount.is_ok()
}

/// A prompt: as many finite features as there should be, the same each time.
#[must_use]
pub fn text(data: &[u8]) -> bool {
    static MAP: OnceLock<FeatureMap> = OnceLock::new();
    let map = MAP.get_or_init(|| {
        let row = |text| RawContext {
            text: Some(text),
            task: Some("code"),
            input_tokens: Some(20),
            embedding: Some(&[0.1, 0.9]),
        };
        let rows = [
            row("Write a sort in Rust."),
            row("What is 2 + 2?"),
            row("日本語"),
        ];
        FeatureMap::fit(FeatureMapConfig::default(), rows).expect("fits")
    });
    let text = String::from_utf8_lossy(data);
    let tail = data.get(data.len().saturating_sub(8)..).unwrap_or_default();
    let embedding: Vec<f32> = tail
        .chunks_exact(4)
        .map(|bits| f32::from_le_bytes([bits[0], bits[1], bits[2], bits[3]]))
        .collect();
    for embedding in [None, Some(embedding.as_slice())] {
        let raw = RawContext {
            text: Some(&text),
            task: text.get(..4),
            input_tokens: Some(data.len() as u64),
            embedding,
        };
        if let Ok(context) = map.map(&raw) {
            assert_eq!(context.features.len(), map.dimensions());
            assert!(context.features.iter().all(|x| x.is_finite()));
            assert_eq!(map.map(&raw), Ok(context));
        } else {
            assert!(embedding.is_some_and(|e| e.len() != 2 || e.iter().any(|x| !x.is_finite())));
        }
    }
    let mut features = Vec::new();
    TextFeatures::default().extract(&text, &mut features);
    assert!(features.iter().all(|x| x.is_finite()));
    for (bucket, weight) in TextFeatures::default().extract_sparse(&text) {
        assert!((bucket as usize) < plimsoll::HASH_BUCKETS && weight >= 1.0);
    }
    true
}

//! Inputs that the benches share: deterministic, so that runs can be compared.

mod stream;

pub use stream::Stream;

use plimsoll::{ArmId, ArmSpec, Context, Price};

/// A deterministic stream of numbers in [0, 1).
pub struct Numbers(u64);

impl Numbers {
    /// The stream that begins at `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn draw(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        f64::from(u32::try_from(self.0 >> 32).unwrap_or(0)) / 4_294_967_296.0
    }
}

/// `n` contexts of `dimensions` features in [−1, 1).
#[must_use]
pub fn contexts(n: usize, dimensions: usize) -> Vec<Context> {
    let mut numbers = Numbers::new(1);
    (0..n)
        .map(|_| Context {
            features: (0..dimensions)
                .map(|_| numbers.draw() * 2.0 - 1.0)
                .collect(),
            input_tokens: Some(200),
            ..Context::default()
        })
        .collect()
}

/// Qualities 0 and 1, shape (n, arms).
#[must_use]
pub fn outcomes(n: usize, arms: usize) -> Vec<Option<f64>> {
    let mut numbers = Numbers::new(2);
    (0..n * arms)
        .map(|_| Some(if numbers.draw() < 0.7 { 1.0 } else { 0.0 }))
        .collect()
}

/// `count` priced arms.
///
/// # Panics
/// Never: every name is non-empty.
#[must_use]
pub fn arms(count: u64) -> Vec<ArmSpec> {
    (0..count)
        .map(|i| {
            let price = Price::from_pico_per_token(100_000 * (i + 1));
            let id = ArmId::new(format!("arm-{i}")).expect("a name");
            ArmSpec::new(id).priced(price, price)
        })
        .collect()
}

/// About `bytes` bytes of English-like text with some code.
#[must_use]
pub fn prompt(bytes: usize) -> String {
    const WORDS: &[&str] = &[
        "the",
        "function",
        "returns",
        "value",
        "of",
        "a",
        "list",
        "when",
        "question",
        "answer:",
        "please",
        "explain",
        "why",
        "this",
        "code",
        "fails",
        "for",
        "x",
        "=",
        "42;",
        "and",
        "prove",
        "that",
        "integral",
        "converges?",
        "Write",
        "summary",
        "about",
        "Treaty",
        "1648,",
        "in",
        "Python",
        "{",
        "}",
        "translate",
        "sentence",
        "into",
        "French.",
        "model",
        "because",
    ];
    let mut numbers = Numbers::new(3);
    let mut text = String::with_capacity(bytes + 16);
    while text.len() < bytes {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "below 256"
        )]
        let index = (numbers.draw() * 256.0) as usize;
        text.push_str(WORDS[index % WORDS.len()]);
        text.push(if index == 0 { '\n' } else { ' ' });
    }
    text
}

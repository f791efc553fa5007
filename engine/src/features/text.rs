//! Hashed n-grams of a prompt: deterministic, without weights or vocabulary.

use serde::{Deserialize, Serialize};

use super::cues::CueCounts;

/// Buckets into which n-grams are hashed.
pub const HASH_BUCKETS: usize = 1 << 16;

/// Settings of [`TextFeatures`].
///
/// | field | default | range | effect |
/// |---|---|---|---|
/// | `dimensions` | 256 | 1.. | dimensions to which the hash buckets are projected |
/// | `bytes_max` | 65,536 | 64.. | longer texts are read from both ends, half each |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TextFeaturesConfig {
    /// Dimensions of the projection.
    pub dimensions: usize,
    /// Bytes of a text that are read for n-grams.
    pub bytes_max: usize,
}

impl Default for TextFeaturesConfig {
    fn default() -> Self {
        Self {
            dimensions: 256,
            bytes_max: 65_536,
        }
    }
}

/// Features of a text: hashed word 1–2-grams and character 3–5-grams, then structural cues.
///
/// Weight of an n-gram: √(times seen). The buckets are projected to `dimensions` by signed hash
/// and scaled to length 1; the cues ([`CUES`](super::CUES)) follow, each in [0, 1]. ASCII case
/// and runs of white space make no difference to n-grams.
///
/// ```
/// use plimsoll::{CUES, TextFeatures, TextFeaturesConfig};
/// let features = TextFeatures::new(TextFeaturesConfig::default());
/// let mut out = Vec::new();
/// features.extract("What is 2 + 2?", &mut out);
/// assert_eq!(out.len(), 256 + CUES.len());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextFeatures {
    config: TextFeaturesConfig,
}

/// Multiplier of the rolling polynomial over characters.
const BASE: u64 = 0x9E37_79B9_7F4A_7C15;
const BASE_3: u64 = BASE.wrapping_mul(BASE).wrapping_mul(BASE);
const BASE_4: u64 = BASE_3.wrapping_mul(BASE);
const BASE_5: u64 = BASE_4.wrapping_mul(BASE);
/// One odd multiplier per kind of n-gram, so that kinds do not collide systematically.
const MIX: [u64; 5] = [
    0xBF58_476D_1CE4_E5B9,
    0x94D0_49BB_1331_11EB,
    0xD6E8_FEB8_6659_FD93,
    0xA076_1D64_78BD_642F,
    0xE703_7ED1_A0B4_28DB,
];

impl TextFeatures {
    /// An extractor; zero `dimensions` become one, and at least 64 bytes are read.
    #[must_use]
    pub fn new(config: TextFeaturesConfig) -> Self {
        let dimensions = config.dimensions.max(1);
        Self {
            config: TextFeaturesConfig {
                dimensions,
                bytes_max: config.bytes_max.max(64),
            },
        }
    }

    /// Length of what [`extract`](Self::extract) writes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.config.dimensions + super::CUES.len()
    }

    /// Never true: there is at least one dimension.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The settings in use.
    #[must_use]
    pub fn config(&self) -> TextFeaturesConfig {
        self.config
    }

    /// Replaces `out` by the features of `text`, shape ([`len`](Self::len)).
    pub fn extract(&self, text: &str, out: &mut Vec<f64>) {
        out.clear();
        out.resize(self.config.dimensions, 0.0);
        self.grams(text, &mut Counts::default(), |bucket, weight| {
            let (at, sign) = project(bucket, self.config.dimensions);
            out[at] += sign * weight;
        });
        normalise(out);
        CueCounts::of(text).push(out);
    }

    /// The buckets of `text` and their weights √(times seen), in order of first appearance.
    ///
    /// For callers that learn a weight per bucket; buckets are below [`HASH_BUCKETS`].
    #[must_use]
    pub fn extract_sparse(&self, text: &str) -> Vec<(u32, f32)> {
        let mut out = Vec::new();
        self.sparse(text, &mut Counts::default(), |bucket, weight| {
            out.push((bucket, weight));
        });
        out
    }

    /// Calls `each` once per distinct bucket, with its weight.
    pub(super) fn sparse(&self, text: &str, counts: &mut Counts, mut each: impl FnMut(u32, f32)) {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "√ of a count needs no more digits"
        )]
        self.grams(text, counts, |bucket, weight| each(bucket, weight as f32));
    }

    /// Calls `each` once per distinct bucket.
    fn grams(&self, text: &str, counts: &mut Counts, mut each: impl FnMut(u32, f64)) {
        counts.clear(text.len().min(self.config.bytes_max));
        let (head, tail) = ends(text, self.config.bytes_max);
        count_grams(head, counts);
        count_grams(tail, counts);
        for &slot in &counts.seen {
            let (bucket, count) = unpack(counts.slots[slot as usize]);
            each(bucket, f64::from(count).sqrt());
        }
    }
}

/// The dimension and sign to which a bucket is projected.
pub(super) fn project(bucket: u32, dimensions: usize) -> (usize, f64) {
    let hash = (u64::from(bucket) + 1).wrapping_mul(0x9FB2_1C65_1E98_DF25);
    let hash = (hash ^ (hash >> 29)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    let sign = if hash & 1 == 0 { 1.0 } else { -1.0 };
    // The upper half times the range, halved again: an even spread without a division.
    let at = ((hash >> 32) * dimensions as u64) >> 32;
    (usize::try_from(at).unwrap_or(0), sign)
}

/// Scales to length 1; zero stays zero.
pub(super) fn normalise(x: &mut [f64]) {
    let norm = crate::linalg::dot(x, x).sqrt();
    if norm > 0.0 {
        for value in x {
            *value /= norm;
        }
    }
}

/// The text in one piece, or its first and last `bytes_max / 2` bytes.
fn ends(text: &str, bytes_max: usize) -> (&str, &str) {
    if text.len() <= bytes_max {
        return (text, "");
    }
    let mut head = bytes_max / 2;
    while !text.is_char_boundary(head) {
        head -= 1;
    }
    let mut tail = text.len() - bytes_max / 2;
    while !text.is_char_boundary(tail) {
        tail += 1;
    }
    (&text[..head], &text[tail..])
}

/// Times each bucket was seen, and the buckets in order of first appearance.
///
/// An open-addressing table as small as the text allows: clearing a slot for each of the 2¹⁶
/// buckets would cost more than reading a short prompt. At full size no two buckets collide.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    /// Count in the upper half, bucket in the lower; zero: empty.
    slots: Vec<u32>,
    seen: Vec<u32>,
    mask: usize,
}

/// Slots per byte of text; a byte ends at most five n-grams, so that the table never fills.
const SLOTS_PER_BYTE: usize = 8;
const COUNT_ONE: u32 = 1 << 16;

/// Bucket and count of a slot.
const fn unpack(slot: u32) -> (u32, u32) {
    (slot & (COUNT_ONE - 1), slot >> 16)
}

impl Counts {
    /// Makes it empty, and as large as a text of `bytes` bytes wants it.
    fn clear(&mut self, bytes: usize) {
        let slots = (bytes * SLOTS_PER_BYTE + 64)
            .next_power_of_two()
            .min(HASH_BUCKETS);
        self.slots.clear();
        self.slots.resize(slots, 0);
        self.seen.clear();
        self.seen.reserve(slots / 2);
        self.mask = slots - 1;
    }

    fn add(&mut self, hash: u64, mix: u64) {
        let bucket = ((hash ^ (hash >> 32)).wrapping_mul(mix) >> 48) as u16;
        let mut at = usize::from(bucket) & self.mask;
        loop {
            let slot = self.slots[at];
            if slot == 0 {
                self.slots[at] = COUNT_ONE | u32::from(bucket);
                #[expect(clippy::cast_possible_truncation, reason = "at most 2^16 slots")]
                self.seen.push(at as u32);
                return;
            }
            if unpack(slot).0 == u32::from(bucket) {
                // A full count stays: adding would spill into the bucket.
                self.slots[at] = slot.checked_add(COUNT_ONE).unwrap_or(slot);
                return;
            }
            at = (at + 1) & self.mask;
        }
    }
}

fn count_grams(text: &str, counts: &mut Counts) {
    if text.is_empty() {
        return;
    }
    let mut grams = Grams::default();
    for c in text.chars() {
        grams.step(c, counts);
    }
    // A closing space ends the last word.
    grams.step(' ', counts);
}

/// State of the rolling hashes.
#[derive(Default)]
struct Grams {
    /// The last five characters, the newest last.
    window: [u64; 5],
    h3: u64,
    h4: u64,
    h5: u64,
    chars: u32,
    word: u64,
    word_before: u64,
    in_space: bool,
}

/// What a character is to the n-grams.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Space,
    Word,
    /// Punctuation is a word by itself.
    Alone,
}

/// Code and kind of each ASCII character: most text is ASCII, and a table is read faster than
/// questions are asked.
const ASCII: [(u8, Kind); 128] = {
    let mut table = [(0, Kind::Alone); 128];
    let mut byte = 0_u8;
    while byte < 128 {
        table[byte as usize] = if byte.is_ascii_whitespace() {
            (b' ', Kind::Space)
        } else if byte.is_ascii_alphanumeric() {
            (byte.to_ascii_lowercase(), Kind::Word)
        } else {
            (byte, Kind::Alone)
        };
        byte += 1;
    }
    table
};

fn classify(c: char) -> (u64, Kind) {
    if let Some(&(code, kind)) = ASCII.get(c as usize) {
        return (u64::from(code) + 1, kind);
    }
    if c.is_whitespace() {
        return (u64::from(b' ') + 1, Kind::Space);
    }
    let kind = if c.is_alphanumeric() {
        Kind::Word
    } else {
        Kind::Alone
    };
    (u64::from(u32::from(c)) + 1, kind)
}

impl Grams {
    fn step(&mut self, c: char, counts: &mut Counts) {
        let (code, kind) = classify(c);
        let space = kind == Kind::Space;
        if space && self.in_space {
            return;
        }
        self.in_space = space;
        self.push_char(code, counts);
        if kind == Kind::Word {
            self.word = (self.word ^ code).wrapping_mul(BASE).rotate_left(23);
            return;
        }
        self.end_word(counts);
        if kind == Kind::Alone {
            self.word = code.wrapping_mul(BASE);
            self.end_word(counts);
        }
    }

    fn push_char(&mut self, code: u64, counts: &mut Counts) {
        let [w0, w1, w2, w3, w4] = self.window;
        self.h3 = self
            .h3
            .wrapping_mul(BASE)
            .wrapping_add(code)
            .wrapping_sub(w2.wrapping_mul(BASE_3));
        self.h4 = self
            .h4
            .wrapping_mul(BASE)
            .wrapping_add(code)
            .wrapping_sub(w1.wrapping_mul(BASE_4));
        self.h5 = self
            .h5
            .wrapping_mul(BASE)
            .wrapping_add(code)
            .wrapping_sub(w0.wrapping_mul(BASE_5));
        self.window = [w1, w2, w3, w4, code];
        if self.chars == 5 {
            counts.add(self.h3, MIX[0]);
            counts.add(self.h4, MIX[1]);
            counts.add(self.h5, MIX[2]);
            return;
        }
        self.chars += 1;
        if self.chars >= 3 {
            counts.add(self.h3, MIX[0]);
        }
        if self.chars >= 4 {
            counts.add(self.h4, MIX[1]);
        }
        if self.chars >= 5 {
            counts.add(self.h5, MIX[2]);
        }
    }

    fn end_word(&mut self, counts: &mut Counts) {
        if self.word == 0 {
            return;
        }
        counts.add(self.word, MIX[3]);
        if self.word_before != 0 {
            counts.add(self.word_before.rotate_left(17) ^ self.word, MIX[4]);
        }
        self.word_before = self.word;
        self.word = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn features(text: &str) -> Vec<f64> {
        let mut out = Vec::new();
        TextFeatures::default().extract(text, &mut out);
        out
    }

    fn cosine(a: &str, b: &str) -> f64 {
        crate::linalg::dot(&features(a)[..256], &features(b)[..256])
    }

    #[test]
    fn near_texts_are_near() {
        let near = cosine(
            "How do I sort a list in Python?",
            "how to sort lists in python",
        );
        let far = cosine(
            "How do I sort a list in Python?",
            "The Treaty of Westphalia, 1648",
        );
        assert!(near > 0.4 && far < 0.3, "{near} {far}");
        assert!((cosine("A  b\n c", "a b c") - 1.0).abs() < 1e-12);
    }

    #[test]
    fn any_text_gives_finite_features() {
        for text in [
            "",
            " ",
            "a",
            "\u{0}\u{10FFFF}",
            "日本語",
            &"long ".repeat(40_000),
        ] {
            let out = features(text);
            assert_eq!(out.len(), TextFeatures::default().len());
            assert!(out.iter().all(|x| x.is_finite()));
        }
    }

    #[test]
    fn long_texts_are_read_from_both_ends() {
        let body = "é".repeat(40_000);
        let a = features(&format!("start {body} end"));
        let b = features(&format!("start {body} other"));
        let c = features(&format!("begin {body} end"));
        assert!(a != b && a != c);
    }

    #[test]
    fn sparse_weights_are_roots_of_counts() {
        let sparse = TextFeatures::default().extract_sparse("word word word word");
        let heaviest = sparse.iter().map(|(_, w)| *w).fold(0.0, f32::max);
        assert!((heaviest - 2.0).abs() < 1e-6);
        let mut buckets: Vec<u32> = sparse.iter().map(|(b, _)| *b).collect();
        buckets.sort_unstable();
        buckets.dedup();
        assert_eq!(buckets.len(), sparse.len());
    }
}

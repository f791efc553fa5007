//! JSON read with every float exact.
//!
//! `serde_json` reads floats to within one unit in the last place, unless its feature
//! `float_roundtrip` is on, and features are one for a whole workspace. A saved evaluation must
//! give the same bytes again, so its numbers are read here by the standard library.

use std::collections::BTreeMap;

use serde::Deserializer;
use serde::de::value::{Error, MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeOwned, IntoDeserializer, Visitor};
use serde_json::value::RawValue;

/// A JSON value whose numbers are exact.
enum Node {
    Null,
    Bool(bool),
    Natural(u64),
    Integer(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(BTreeMap<String, Node>),
}

/// Reads `json`; `None` when it is not a `T`, which a first reading has to explain.
pub(crate) fn from_slice<T: DeserializeOwned>(json: &[u8]) -> Option<T> {
    let raw: &RawValue = serde_json::from_slice(json).ok()?;
    T::deserialize(Node::read(raw)?).ok()
}

impl Node {
    fn read(raw: &RawValue) -> Option<Self> {
        let text = raw.get();
        Some(match text.as_bytes().first()? {
            b'n' => Self::Null,
            b't' => Self::Bool(true),
            b'f' => Self::Bool(false),
            b'"' => Self::Text(serde_json::from_str(text).ok()?),
            b'[' => {
                let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
                Self::List(items.into_iter().map(Self::read).collect::<Option<_>>()?)
            }
            b'{' => {
                let fields: BTreeMap<String, &RawValue> = serde_json::from_str(text).ok()?;
                let read = |(name, raw)| Some((name, Self::read(raw)?));
                Self::Map(fields.into_iter().map(read).collect::<Option<_>>()?)
            }
            _ => Self::number(text)?,
        })
    }

    fn number(text: &str) -> Option<Self> {
        if let Ok(natural) = text.parse() {
            return Some(Self::Natural(natural));
        }
        match text.parse() {
            Ok(integer) => Some(Self::Integer(integer)),
            Err(_) => text.parse().ok().map(Self::Float),
        }
    }
}

impl IntoDeserializer<'_> for Node {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Node {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Self::Null => visitor.visit_unit(),
            Self::Bool(value) => visitor.visit_bool(value),
            Self::Natural(value) => visitor.visit_u64(value),
            Self::Integer(value) => visitor.visit_i64(value),
            Self::Float(value) => visitor.visit_f64(value),
            Self::Text(value) => visitor.visit_string(value),
            Self::List(items) => visitor.visit_seq(SeqDeserializer::new(items.into_iter())),
            Self::Map(fields) => visitor.visit_map(MapDeserializer::new(fields.into_iter())),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Self::Null => visitor.visit_none(),
            value => visitor.visit_some(value),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self {
            // All enums of an evaluation are plain names.
            Self::Text(text) => text
                .into_deserializer()
                .deserialize_enum(name, variants, visitor),
            other => other.deserialize_any(visitor),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_come_back_bit_for_bit() {
        let mut state = 9_u64;
        for _ in 0..20_000 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let value = f64::from_bits(state);
            if value.is_finite() {
                let json = serde_json::to_vec(&[value]).unwrap();
                let [read]: [f64; 1] = from_slice(&json).unwrap();
                assert_eq!(read.to_bits(), value.to_bits(), "{value:e}");
            }
        }
    }

    #[test]
    fn every_kind_of_value_is_read() {
        type All = (
            Option<u8>,
            Option<u8>,
            bool,
            i64,
            u64,
            f64,
            String,
            Vec<BTreeMap<String, f64>>,
        );
        let json = r#" [null, 3, true, -4, 18446744073709551615, 1e-7, "a\"\u00e9", [{"x": 1}]] "#;
        let all: All = from_slice(json.as_bytes()).unwrap();
        let map = BTreeMap::from([("x".to_owned(), 1.0)]);
        assert_eq!(
            all,
            (
                None,
                Some(3),
                true,
                -4,
                u64::MAX,
                1e-7,
                "a\"é".to_owned(),
                vec![map]
            )
        );
        assert!(from_slice::<bool>(b"1").is_none());
        assert!(from_slice::<bool>(b"oops").is_none());
    }
}

//! JSON objects with their numbers as they are written, and no key twice.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{CatalogueError, CatalogueFormat};

/// The entries of an object in order; a key that stands twice is an error.
pub(super) struct Object<'a>(pub(super) Vec<(String, &'a RawValue)>);

impl<'a> Object<'a> {
    pub(super) fn get(&self, key: &str) -> Option<&'a RawValue> {
        let entry = self.0.iter().find(|(name, _)| name == key);
        entry.map(|(_, value)| *value)
    }

    /// The object that a raw value is.
    pub(super) fn of(value: &'a RawValue) -> Option<Self> {
        serde_json::from_str(value.get()).ok()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<'a>(PhantomData<&'a ()>);

        impl<'de: 'a, 'a> Visitor<'de> for Entries<'a> {
            type Value = Object<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries: Vec<(String, &'a RawValue)> = Vec::new();
                let mut known = std::collections::HashSet::new();
                while let Some(key) = map.next_key::<String>()? {
                    let value: &'de RawValue = map.next_value()?;
                    if !known.insert(key.clone()) {
                        return Err(A::Error::custom(format!("the key `{key}` stands twice")));
                    }
                    entries.push((key, value));
                }
                Ok(Object(entries))
            }
        }

        deserializer.deserialize_map(Entries(PhantomData))
    }
}

/// Reads the object that a text is.
pub(super) fn object(text: &str) -> Result<Object<'_>, CatalogueError> {
    serde_json::from_str(text).map_err(|error| CatalogueError::NotACatalogue {
        what: format!("not one JSON object: {error}"),
    })
}

/// A number as it is written; `None` for anything else.
pub(super) fn number(value: &RawValue) -> Option<&str> {
    let text = value.get();
    text.starts_with(|first: char| first.is_ascii_digit() || first == '-')
        .then_some(text)
}

/// A text.
pub(super) fn string(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}

pub(super) fn is_null(value: &RawValue) -> bool {
    value.get() == "null"
}

/// A whole number, also when it is written as 256000.0.
pub(super) fn whole(value: &RawValue) -> Option<u64> {
    let text = number(value)?;
    let digits = text.split_once('.').map_or(text, |(whole, fraction)| {
        let is_whole = fraction.bytes().all(|byte| byte == b'0');
        if is_whole { whole } else { text }
    });
    digits.parse().ok()
}

/// Whose catalogue a text is, by what is in it.
pub(super) fn detect(text: &str) -> Result<CatalogueFormat, CatalogueError> {
    // A table of TOML begins with a bracket too.
    let is_json = || serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    match text.trim_start().as_bytes().first() {
        Some(b'{') => {}
        Some(b'[') if is_json() => {}
        _ => return Ok(CatalogueFormat::Plimsoll),
    }
    let top = object(text)?;
    if let Some(data) = top.get("data")
        && let Ok(models) = serde_json::from_str::<Vec<&RawValue>>(data.get())
    {
        let is_model = |value: &&RawValue| {
            Object::of(value).is_some_and(|m| m.get("id").is_some() && m.get("pricing").is_some())
        };
        if models.iter().any(is_model) {
            return Ok(CatalogueFormat::Openrouter);
        }
    }
    let is_row = |(_, value): &(String, &RawValue)| {
        Object::of(value).is_some_and(|row| row.get("litellm_provider").is_some())
    };
    if top.0.iter().any(is_row) {
        return Ok(CatalogueFormat::Litellm);
    }
    Err(CatalogueError::NotACatalogue {
        what: "JSON whose entries have neither `litellm_provider` nor `pricing`".to_owned(),
    })
}

//! The service's key: from the environment, and nowhere else to be seen.

use std::fmt;

use crate::error::CollectError;

/// A bearer key. It is shown nowhere: its `Debug` is redacted, and it has no `Display`.
#[derive(Clone)]
pub struct ApiKey(String);

impl ApiKey {
    /// The key in the environment variable `name`.
    ///
    /// # Errors
    /// [`CollectError::Key`] when the variable is missing, empty or cannot be a header.
    pub fn from_env(name: &str) -> Result<Self, CollectError> {
        Self::of_variable(name, std::env::var(name).ok())
    }

    /// The key that the variable `name` holds.
    ///
    /// # Errors
    /// As [`from_env`](Self::from_env).
    pub fn of_variable(name: &str, value: Option<String>) -> Result<Self, CollectError> {
        let wrong = |why| CollectError::Key {
            name: name.to_owned(),
            why,
        };
        let value = value.ok_or_else(|| wrong("is not set"))?;
        let key = value.trim();
        if key.is_empty() {
            return Err(wrong("is empty"));
        }
        if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(wrong("holds characters that no key has"));
        }
        Ok(Self(key.to_owned()))
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_checked_and_never_shown() {
        let of = |value: &str| ApiKey::of_variable("K", Some(value.to_owned()));
        assert_eq!(of(" sk-secret\n").expect("a key").expose(), "sk-secret");
        assert_eq!(format!("{:?}", of("sk-secret")), "Ok(ApiKey(redacted))");
        for bad in ["", " \n", "two words", "käse", "a\u{7}b"] {
            let error = of(bad).expect_err("no key");
            assert_eq!(error.code(), "P0905");
            assert!(bad.trim().is_empty() || !error.to_string().contains(bad.trim()));
        }
        assert!(ApiKey::of_variable("K", None).is_err());
    }
}

#![doc = include_str!("docs/book.md")]

#[doc = include_str!("docs/cascades.md")]
pub mod cascades {}

#[doc = include_str!("docs/concepts.md")]
pub mod concepts {}

#[doc = include_str!("docs/determinism.md")]
pub mod determinism {}

#[doc = include_str!("docs/extending.md")]
pub mod extending {}

#[doc = include_str!("docs/formulas.md")]
pub mod formulas {}

#[doc = include_str!("docs/policies.md")]
pub mod policies {}

#[doc = include_str!("docs/service.md")]
pub mod service {}

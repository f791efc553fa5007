//! One module per verb.

mod certified;
pub(crate) mod collect;
pub(crate) mod compare;
pub(crate) mod demo;
pub(crate) mod explain;
pub(crate) mod init;
mod judging;
mod learning;
pub(crate) mod manual;
pub(crate) mod models;
mod names;
pub(crate) mod prices;
pub(crate) mod replay;
pub(crate) mod report;
pub(crate) mod simulate;
pub(crate) mod tune;
pub(crate) mod validate;

//! Tables that users map.

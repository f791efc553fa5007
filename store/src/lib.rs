//! Files that keep a router: snapshots replaced in one step, and a journal of feedback.

//! Exports of gateways and tracing tools, each with its traps, and the log that each becomes.
//!
//! Fixtures are written from the published schemas with invented values. What an import makes of
//! one is in `golden/NAME.jsonl` (the log) and `golden/NAME.json` (the report); with
//! `PLIMSOLL_BLESS=1` they are written anew: read them before they are committed.

mod broken;
mod detect;
mod evidence;
mod golden;
mod helicone;
mod labels;
mod langfuse;
mod litellm;
mod mutations;
mod obd;
mod openai_batch;
mod openrouter;
mod otel;
mod parquet;
mod portkey;
mod routellm;
mod routerbench;
mod table;
mod tensorzero;
mod vw;

//! The kinds of exports, and how to tell which one a file is.

use serde::Serialize;

use super::importer::Importer;
use super::record::Record;
use super::source_files::{Batch, Cut, read_batches};
use super::{
    ImportError, helicone, langfuse, litellm, obd, openai_batch, openrouter, otel, portkey,
    routellm, routerbench, table, tensorzero, vw, vw_dsjson,
};
use crate::read::ReadOptions;
use crate::read_error::ReadError;
use crate::source::{Input, Meter, Source};

macro_rules! kinds {
    ($($variant:ident $name:literal $about:literal)*) => {
        /// A kind of export.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
        #[non_exhaustive]
        pub enum ImportKind { $(#[doc = $about] #[serde(rename = $name)] $variant,)* }

        impl ImportKind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its name on the command line.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What it is.
            #[must_use]
            pub const fn about(self) -> &'static str {
                match self { $(Self::$variant => $about,)* }
            }
        }
    };
}

kinds! {
    Litellm "litellm" "LiteLLM: rows of LiteLLM_SpendLogs, or StandardLoggingPayload objects"
    Langfuse "langfuse" "Langfuse: observations, with scores (and traces) beside them"
    Helicone "helicone" "Helicone: rows of request_response_rmt, or HeliconeRequest objects"
    OpenRouter "openrouter" "OpenRouter: the activity CSV, or objects of GET /generation"
    Portkey "portkey" "Portkey: lines of a log export, costs in cents"
    TensorZero "tensorzero" "TensorZero: ModelInference, with inferences and feedback beside it"
    Otel "otel" "OpenTelemetry: OTLP JSON spans with gen_ai.* attributes"
    OpenaiBatch "openai-batch" "OpenAI's batches: output and error JSONL, beside their input"
    Routerbench "routerbench" "RouterBench: a row per prompt, columns per model"
    Routellm "routellm" "RouteLLM's benchmarks: a prompt and two models' results"
    Obd "obd" "Open Bandit Dataset: impressions, clicks and propensities"
    VwDsjson "vw-dsjson" "Vowpal Wabbit's dsjson: a decision per line"
    Vw "vw" "Vowpal Wabbit text: cb lines and cb_adf blocks"
    Table "table" "Any table, its columns mapped by --map"
}

impl ImportKind {
    /// The kind of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }

    pub(super) fn importer(self) -> Box<dyn Importer> {
        match self {
            Self::Litellm => Box::new(litellm::Litellm),
            Self::Langfuse => Box::new(langfuse::Langfuse::default()),
            Self::Helicone => Box::new(helicone::Helicone),
            Self::OpenRouter => Box::new(openrouter::OpenRouter),
            Self::Portkey => Box::new(portkey::Portkey),
            Self::TensorZero => Box::new(tensorzero::TensorZero::default()),
            Self::Otel => Box::new(otel::Otel),
            Self::OpenaiBatch => Box::<openai_batch::OpenaiBatch>::default(),
            Self::Routerbench => Box::new(routerbench::Routerbench),
            Self::Routellm => Box::new(routellm::Routellm),
            Self::Obd => Box::<obd::Obd>::default(),
            Self::Vw => Box::<vw::Vw>::default(),
            Self::VwDsjson => Box::<vw_dsjson::Dsjson>::default(),
            Self::Table => Box::new(table::Table::default()),
        }
    }

    /// What a log of this kind can and cannot prove, in a sentence for the report.
    #[must_use]
    pub const fn evidence(self) -> &'static str {
        match self {
            Self::Litellm
            | Self::Langfuse
            | Self::Helicone
            | Self::Portkey
            | Self::TensorZero
            | Self::Otel => {
                "one model's answer per request, without propensities: observational, so \
                 scenarios and bounds but no savings headline"
            }
            Self::OpenRouter => {
                "one model's answer per request, without prompts, labels or propensities: what was \
                 spent on which model, and nothing on quality unless labels are joined"
            }
            Self::OpenaiBatch => {
                "one answer per custom_id and model, unpriced until a catalogue's batch prices \
                 are joined: full information where one id was sent to several models, \
                 observational elsewhere"
            }
            Self::Routerbench => {
                "every model's answer to every prompt, with its cost: full information"
            }
            Self::Routellm => {
                "both models' results for every prompt: full information about quality; no costs, \
                 so no savings until a catalogue prices them"
            }
            Self::Obd | Self::Vw | Self::VwDsjson => {
                "one choice per decision, with the propensity that was logged: policies can be \
                 evaluated where it overlaps; no costs in dollars, so no savings"
            }
            Self::Table => "whatever the mapped columns hold",
        }
    }
}

impl ImportKind {
    /// How rows of one request are joined, in a sentence for the report.
    #[must_use]
    pub const fn rule(self) -> &'static str {
        match self {
            Self::OpenaiBatch => {
                "answers of one custom_id and model are one row, the last one that succeeded, with \
                 the tokens of all; answers of other models are rows of the same request"
            }
            Self::Routerbench | Self::Routellm | Self::Table => {
                "nothing is joined: rows of one request are answers of different arms"
            }
            Self::TensorZero => {
                "calls of one inference are one row: the model whose answer was given (without the \
                 inference tables, the one that answered last), the sum of all costs (unknown if \
                 one of them is), tokens only if all calls were that model's"
            }
            Self::Obd | Self::Vw | Self::VwDsjson => {
                "nothing is joined: every decision is a request of its own"
            }
            Self::Litellm
            | Self::Otel
            | Self::Langfuse
            | Self::Helicone
            | Self::OpenRouter
            | Self::Portkey => {
                "calls of one request are one row: the model that answered last, the sum of all \
                 costs (unknown if a call that may have been billed has none), tokens only if all \
                 calls were that model's"
            }
        }
    }
}

/// Which kind a file was taken for, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Detected {
    /// The file looked at.
    pub file: String,
    /// The kind.
    pub kind: ImportKind,
    /// What told it.
    pub why: &'static str,
}

/// Endings of the files that a folder of exports may hold.
pub(super) const ENDINGS: [&str; 8] = [
    "parquet", "csv", "tsv", "jsonl", "ndjson", "json", "txt", "dat",
];

/// Looks at the first record of an export and says what kind it is.
///
/// # Errors
/// [`ImportError::UnknownKind`] when nothing fits, [`ReadError`] when the file cannot be read.
pub fn detect(input: &Input) -> Result<Detected, ImportError> {
    let sources = crate::source::list_of(input, &ENDINGS)?;
    let mut fields = Vec::new();
    for source in &sources {
        match detect_source(source)? {
            Ok((kind, why)) => {
                return Ok(Detected {
                    file: source.name.clone(),
                    kind,
                    why,
                });
            }
            Err(names) => fields = names,
        }
    }
    Err(ImportError::UnknownKind {
        file: sources.first().map(|s| s.name.clone()).unwrap_or_default(),
        fields,
    })
}

type Found = Result<(ImportKind, &'static str), Vec<String>>;

fn detect_source(source: &Source) -> Result<Found, ReadError> {
    let mut found: Found = Err(Vec::new());
    for cut in [Cut::Records, Cut::Examples] {
        let looked = first_record(source, cut, &ReadOptions::default(), &mut |record| {
            match signature(record, cut) {
                // Lines of text have no fields to name.
                Err(names) if names.is_empty() => {}
                looked => found = looked,
            }
        });
        match (looked, cut) {
            (Ok(()), _) if found.is_ok() => break,
            // What cannot be read as records may be lines of text.
            (Ok(()) | Err(ReadError::Io { .. }), _) | (Err(_), Cut::Records) => {}
            (Err(error), Cut::Examples) => return Err(error),
        }
    }
    Ok(found)
}

fn signature(record: &Record<'_>, cut: Cut) -> Found {
    for kind in ImportKind::ALL {
        let importer = kind.importer();
        if importer.cut() == cut
            && let Some(why) = importer.signature(record)
        {
            return Ok((*kind, why));
        }
    }
    Err(record.names().into_iter().map(str::to_owned).collect())
}

/// Looks at the first record of a source that can be read.
pub(super) fn first_record(
    source: &Source,
    cut: Cut,
    options: &ReadOptions,
    look: &mut dyn FnMut(&Record<'_>),
) -> Result<(), ReadError> {
    let meter = Meter::new(options.byte_cap);
    read_batches(source, &meter, options, cut, &mut |batch: &mut Batch| {
        for index in 0..batch.len() {
            if let Ok(record) = batch.record(index) {
                look(&record);
                break;
            }
        }
        Ok(false)
    })
}

//! One import: files in, a log and a report out.

use std::collections::BTreeMap;
use std::path::Path;

use super::call::Skip;
use super::expression::Expression;
use super::gather::Gather;
use super::importer::{Importer, Role};
use super::kind::{ENDINGS, first_record};
use super::labels::{Labels, QualityFrom, Scale, label_of};
use super::out::{Out, finish};
use super::pass::MainPass;
use super::record::Record;
use super::source_files::{Batch, read_batches};
use super::table::Table;
use super::tally::Tally;
use super::{ImportError, ImportKind, ImportReport, LabelReport};
use crate::assemble::Fault;
use crate::read::ReadOptions;
use crate::source::{Input, Meter, Source, list_of};
use crate::timestamp::TimestampUnit;
use crate::write::LogWriter;

/// How an export is imported.
#[derive(Clone, Debug)]
pub struct ImportOptions {
    /// What it is.
    pub kind: ImportKind,
    /// Where quality comes from; `None`: from wherever the kind has it, or nowhere.
    pub quality: Option<QualityFrom>,
    /// The grades that quality is given in; `None`: they are in [0, 1].
    pub scale: Option<Scale>,
    /// Labels in files of their own.
    pub join: Option<Join>,
    /// For [`ImportKind::Table`]: column of the log, and field or expression.
    pub maps: Vec<(String, String)>,
    /// Fields to keep as columns of their own.
    pub keep: Vec<String>,
    /// The field that rows of one request have in common, in place of the kind's own.
    pub group_by: Option<String>,
    /// Leave prompts out.
    pub without_prompts: bool,
    /// Blot out keys, tokens and mail addresses in prompts.
    pub redact: bool,
    /// Unit of integer times that are mapped by hand.
    pub timestamp_unit: Option<TimestampUnit>,
    /// Bytes of requests that may wait for further calls.
    pub window_bytes: usize,
    /// Caps, and the share of records that may be rejected.
    pub read: ReadOptions,
}

/// Labels in files of their own.
#[derive(Clone, Debug)]
pub struct Join {
    /// The files.
    pub input: Input,
    /// The field that holds the name of a request, call, session or trace.
    pub on: String,
}

impl ImportOptions {
    /// 256 MiB.
    pub const WINDOW_BYTES: usize = 256 << 20;

    /// The defaults for a kind.
    #[must_use]
    pub fn new(kind: ImportKind) -> Self {
        Self {
            kind,
            quality: None,
            scale: None,
            join: None,
            maps: Vec::new(),
            keep: Vec::new(),
            group_by: None,
            without_prompts: false,
            redact: true,
            timestamp_unit: None,
            window_bytes: Self::WINDOW_BYTES,
            read: ReadOptions::default(),
        }
    }
}

/// Imports an export and writes an outcome log, whole or not at all.
///
/// `progress` is told the records read so far, now and then.
///
/// # Errors
/// [`ImportError`]; then nothing is at `to`.
///
/// ```
/// use plimsoll_datasets::{ImportKind, ImportOptions, Input, ReadOptions, import, read};
/// let export = br#"{"request_id":"c1","litellm_call_id":"r1","call_type":"acompletion","model":"small","spend":0.002,"startTime":"2026-03-01 10:00:00","prompt_tokens":10,"completion_tokens":5,"custom_llm_provider":"x","status":"success"}"#;
/// let folder = tempfile::tempdir()?;
/// let log = folder.path().join("log.jsonl");
/// let options = ImportOptions::new(ImportKind::Litellm);
/// let report = import(&[Input::bytes("spend.jsonl", &export[..])], &options, &log, &|_| ())?;
/// assert_eq!(report.rows, 1);
/// let read = read(&Input::Path(log), &ReadOptions::default())?;
/// assert_eq!(read.log.requests[0].id, "r1");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn import(
    inputs: &[Input],
    options: &ImportOptions,
    to: &Path,
    progress: &dyn Fn(u64),
) -> Result<ImportReport, ImportError> {
    let mut sources = Vec::new();
    for input in inputs {
        sources.extend(list_of(input, &ENDINGS)?);
    }
    let meter = Meter::new(options.read.byte_cap);
    let mut importer = options.kind.importer();
    if options.kind == ImportKind::Table {
        importer = Box::new(Table::new(&options.maps, options.timestamp_unit)?);
    } else if !options.maps.is_empty() {
        return Err(ImportError::Option {
            what: format!("--map is for tables, not for {}", options.kind.name()),
            help: "use --quality, --keep and --group-by; or --from table".to_owned(),
        });
    }
    importer.configure(options)?;
    let (side, main) = by_role(importer.as_ref(), sources, &options.read)?;
    let mut tally = Tally::new(options, progress);
    let mut labels = Labels::default();
    let wanted = match &options.quality {
        Some(QualityFrom::Score(name)) => Some(name.clone()),
        _ => None,
    };
    for source in &side {
        tally.begin(source);
        let cut = importer.cut();
        read_batches(source, &meter, &options.read, cut, &mut |batch| {
            for index in 0..batch.len() {
                for learned in learn(
                    importer.as_mut(),
                    batch,
                    index,
                    wanted.as_deref(),
                    &mut labels,
                ) {
                    tally.record(batch.spot(index), learned);
                }
            }
            Ok(true)
        })?;
    }
    if let Some(join) = &options.join {
        read_labels(join, options, &meter, &mut tally, &mut labels)?;
    }
    let mut main_options = MainPass::new(importer.as_mut(), options, &main)?;
    main_options.has_apart = options.join.is_some();
    let columns = main_options.columns();
    let names: Vec<&str> = columns.iter().map(String::as_str).collect();
    let writer = LogWriter::create(to, &names)?;
    let mut out = Out {
        writer,
        gather: Gather::new(options.window_bytes),
        labels,
        meaning: main_options.meaning,
        label_report: LabelReport::default(),
        by_arm: BTreeMap::new(),
        rows: 0,
        unpriced: 0,
        free: 0,
        without_prompts: options.without_prompts,
        redacted: 0,
    };
    for source in &main {
        tally.begin(source);
        main_options.file_number += 1;
        main_options.read(source, &meter, &mut tally, &mut out)?;
    }
    out.drain(true)?;
    if out.rows > 0 {
        main_options.check_sought()?;
    }
    tally.skip(Skip::Unanswered, main_options.importer.unanswered());
    progress(tally.records);
    let digest = meter.digest();
    finish(tally, out, digest)
}

/// Side files and files of calls, by the first record of each.
fn by_role(
    importer: &dyn Importer,
    sources: Vec<Source>,
    options: &ReadOptions,
) -> Result<(Vec<Source>, Vec<Source>), ImportError> {
    let (mut side, mut main) = (Vec::new(), Vec::new());
    for source in sources {
        let mut role = Role::Calls;
        // Standard input cannot be read twice: it holds calls.
        if !matches!(source.place, crate::source::Place::Stdin) {
            first_record(&source, importer.cut(), options, &mut |record| {
                role = importer.role(record);
            })?;
        }
        match role {
            Role::Side => side.push(source),
            Role::Calls => main.push(source),
        }
    }
    if main.is_empty() {
        return Err(ImportError::Option {
            what: "these files hold scores or inputs, but no calls of models".to_owned(),
            help: "name the file with the calls too".to_owned(),
        });
    }
    Ok((side, main))
}

/// What a record of a side file gave, or each of the records that it holds.
fn learn(
    importer: &mut dyn Importer,
    batch: &Batch,
    index: usize,
    wanted: Option<&str>,
    labels: &mut Labels,
) -> Vec<Result<(), Fault>> {
    let record = match batch.record(index) {
        Ok(record) => record,
        Err(fault) => return vec![Err(fault)],
    };
    match importer.open(&record) {
        Ok(None) => vec![importer.learn(&record, wanted, labels)],
        Ok(Some(parts)) => {
            let mut learned = Vec::with_capacity(parts.len());
            for part in &parts {
                let record = Record::of_json(part);
                learned.push(record.and_then(|record| importer.learn(&record, wanted, labels)));
            }
            learned
        }
        Err(fault) => vec![Err(fault)],
    }
}

/// Labels from files of their own.
fn read_labels(
    join: &Join,
    options: &ImportOptions,
    meter: &Meter,
    tally: &mut Tally<'_>,
    labels: &mut Labels,
) -> Result<(), ImportError> {
    for source in list_of(&join.input, &ENDINGS)? {
        tally.begin(&source);
        let mut expression = None;
        let mut failed = None;
        let cut = super::source_files::Cut::Records;
        read_batches(&source, meter, &options.read, cut, &mut |batch| {
            for index in 0..batch.len() {
                let record = match batch.record(index) {
                    Ok(record) => record,
                    Err(fault) => {
                        tally.record(batch.spot(index), Err(fault));
                        continue;
                    }
                };
                if expression.is_none() {
                    match label_expression(join, options, &record) {
                        Ok(parsed) => expression = Some(parsed),
                        Err(error) => {
                            failed = Some(error);
                            return Ok(false);
                        }
                    }
                }
                let Some(expression) = &expression else {
                    continue;
                };
                let learned = record.need(&join.on).and_then(|name| {
                    if let Some(label) = expression.eval(&record)? {
                        labels.add(name, label_of(label));
                    }
                    Ok(())
                });
                tally.record(batch.spot(index), learned);
            }
            Ok(true)
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
    }
    Ok(())
}

/// The expression that a file of labels is read with: what was asked for, or `quality`.
fn label_expression(
    join: &Join,
    options: &ImportOptions,
    record: &Record<'_>,
) -> Result<Expression, ImportError> {
    let text = match &options.quality {
        None => "quality",
        Some(QualityFrom::Thumbs(None)) => "thumbs",
        Some(QualityFrom::Thumbs(Some(field)) | QualityFrom::Score(field)) => field,
        Some(QualityFrom::Expression(text)) => text,
    };
    check_field(&join.on, record)?;
    let expression = Expression::parse(text, Some(record))?;
    for field in expression.fields() {
        check_field(field, record)?;
    }
    Ok(expression)
}

/// Fails when a record has no such field at all; a null one is there.
pub(super) fn check_field(field: &str, record: &Record<'_>) -> Result<(), ImportError> {
    if has_field(field, record) {
        return Ok(());
    }
    Err(no_field(field, record.names().into_iter()))
}

/// Whether a record has a field of that name, or the object that it would be in.
pub(super) fn has_field(field: &str, record: &Record<'_>) -> bool {
    let names = record.names();
    let top = field.split('.').next().unwrap_or(field);
    record.has(field) || names.contains(&field) || names.contains(&top)
}

pub(super) fn no_field<'n>(field: &str, names: impl Iterator<Item = &'n str>) -> ImportError {
    let meant = crate::column::did_you_mean(field, names);
    ImportError::NoField {
        field: field.to_owned(),
        meant: meant.map(str::to_owned),
    }
}

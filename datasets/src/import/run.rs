//! One import: files in, a log and a report out.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use rayon::prelude::*;

use super::call::{Joins, Skip};
use super::expression::Expression;
use super::gather::{ByName, CALLS, Gather, MODELS_CALLED, Placed};
use super::importer::{Importer, Made, Role};
use super::kind::{ENDINGS, first_record};
use super::labels::{ArmLabels, Labels, Meaning, QualityFrom, Scale, label_of, p_same_share};
use super::record::Record;
use super::redact::redact;
use super::source_files::{Batch, read_batches};
use super::table::Table;
use super::{ImportError, ImportKind, ImportReport, LabelReport};
use crate::assemble::{Fault, REJECTS_KEPT_MAX, Spot};
use crate::read::ReadOptions;
use crate::reject::Reject;
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
    let meter = Meter {
        digest: Rc::new(RefCell::new(blake3::Hasher::new())),
        bytes_left: Rc::new(RefCell::new(options.read.byte_cap)),
    };
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
    let (side, main) = by_role(importer.as_ref(), sources)?;
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
        let mut failed = None;
        read_batches(
            source,
            &meter,
            &options.read,
            main_options.importer.cut(),
            &mut |batch| {
                let done = main_options.take(batch, &mut tally, &mut out);
                Ok(match done {
                    Ok(()) => true,
                    Err(error) => {
                        failed = Some(error);
                        false
                    }
                })
            },
        )?;
        if let Some(error) = failed {
            return Err(error);
        }
    }
    out.drain(true)?;
    progress(tally.records);
    let digest = meter.digest.borrow().finalize().to_hex().to_string();
    finish(tally, out, digest)
}

/// Side files and files of calls, by the first record of each.
fn by_role(
    importer: &dyn Importer,
    sources: Vec<Source>,
) -> Result<(Vec<Source>, Vec<Source>), ImportError> {
    let (mut side, mut main) = (Vec::new(), Vec::new());
    for source in sources {
        let mut role = Role::Calls;
        // Standard input cannot be read twice: it holds calls.
        if !matches!(source.place, crate::source::Place::Stdin) {
            first_record(&source, importer.cut(), &mut |record| {
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
    let names = record.names();
    let top = field.split('.').next().unwrap_or(field);
    if record.has(field) || names.contains(&field) || names.contains(&top) {
        return Ok(());
    }
    let meant = crate::column::did_you_mean(field, names.iter().copied());
    Err(ImportError::NoField {
        field: field.to_owned(),
        meant: meant.map(str::to_owned),
    })
}

/// What happened to the records.
struct Tally<'a> {
    options: &'a ImportOptions,
    progress: &'a dyn Fn(u64),
    files: Vec<String>,
    records: u64,
    skipped: ByName,
    rejected: ByName,
    rejects: Vec<Reject>,
}

impl<'a> Tally<'a> {
    fn new(options: &'a ImportOptions, progress: &'a dyn Fn(u64)) -> Self {
        Self {
            options,
            progress,
            files: Vec::new(),
            records: 0,
            skipped: ByName::new(),
            rejected: ByName::new(),
            rejects: Vec::new(),
        }
    }

    fn begin(&mut self, source: &Source) {
        self.files.push(source.name.clone());
    }

    fn file(&self) -> u32 {
        u32::try_from(self.files.len().saturating_sub(1)).unwrap_or(u32::MAX)
    }

    fn record(&mut self, spot: Spot, taken: Result<(), Fault>) {
        self.records += 1;
        if self.records.is_multiple_of(8_192) {
            (self.progress)(self.records);
        }
        if let Err(fault) = taken {
            self.reject(self.file(), spot, fault);
        }
    }

    fn skip(&mut self, reason: Skip) {
        *self
            .skipped
            .entry(reason.describe().to_owned())
            .or_default() += 1;
    }

    fn reject(&mut self, file: u32, spot: Spot, fault: Fault) {
        *self
            .rejected
            .entry(fault.reason.name().to_owned())
            .or_default() += 1;
        if self.rejects.len() < REJECTS_KEPT_MAX {
            self.rejects.push(Reject {
                file: self.files.get(file as usize).cloned().unwrap_or_default(),
                line: spot.line,
                byte: spot.byte.map(|byte| byte + fault.offset),
                row: spot.row,
                column: fault.column,
                reason: fault.reason,
                request_id: fault.request_id,
            });
        }
    }
}

/// The pass over the calls.
struct MainPass<'a> {
    importer: &'a dyn Importer,
    options: &'a ImportOptions,
    meaning: Meaning,
    quality: Option<Expression>,
    thumbs: bool,
    wanted: Option<String>,
    /// Whether labels come from a file of their own, so that records hold none.
    has_apart: bool,
    /// The number of the file among those with calls, from 1.
    file_number: u32,
}

impl<'a> MainPass<'a> {
    fn new(
        importer: &'a mut dyn Importer,
        options: &'a ImportOptions,
        main: &[Source],
    ) -> Result<Self, ImportError> {
        let mut pass = Self {
            importer: &Nothing,
            options,
            meaning: match (&options.quality, options.scale) {
                (Some(QualityFrom::Thumbs(_)), None) => Meaning::Thumbs,
                (_, Some(scale)) => Meaning::Scale(scale),
                (_, None) => Meaning::Plain,
            },
            quality: None,
            thumbs: false,
            wanted: None,
            has_apart: false,
            file_number: 0,
        };
        if options.scale.is_some() && matches!(options.quality, Some(QualityFrom::Thumbs(_))) {
            return Err(ImportError::Option {
                what: "thumbs have no scale".to_owned(),
                help: "leave --scale out, or name a field of grades with --quality".to_owned(),
            });
        }
        if let Some(QualityFrom::Score(name)) = &options.quality {
            pass.wanted = Some(name.clone());
        }
        if let Some(source) = main.first()
            && !matches!(source.place, crate::source::Place::Stdin)
        {
            let mut failed = None;
            let cut = importer.cut();
            first_record(source, cut, &mut |record| {
                let opened = importer.open(record).ok().flatten();
                let first = opened.as_deref().and_then(<[String]>::first);
                let inner = first.and_then(|first| Record::of_json(first).ok());
                let record = inner.as_ref().unwrap_or(record);
                let begun = importer
                    .begin(record)
                    .and_then(|()| pass.look(importer.thumbs(), record));
                failed = begun.err();
            })?;
            if let Some(error) = failed {
                return Err(error);
            }
        } else {
            pass.look_blind(importer.thumbs())?;
        }
        pass.importer = importer;
        Ok(pass)
    }

    /// Settles where labels are, with the first record at hand.
    fn look(&mut self, thumbs: &[&str], record: &Record<'_>) -> Result<(), ImportError> {
        if self.options.join.is_some() {
            return Ok(());
        }
        match &self.options.quality {
            Some(QualityFrom::Expression(text)) => {
                self.quality = Some(Expression::parse(text, Some(record))?);
            }
            Some(QualityFrom::Thumbs(Some(field))) => {
                self.quality = Some(Expression::parse(field, Some(record))?);
            }
            _ => return self.look_blind(thumbs),
        }
        Ok(())
    }

    fn look_blind(&mut self, thumbs: &[&str]) -> Result<(), ImportError> {
        if self.options.join.is_some() {
            return Ok(());
        }
        match &self.options.quality {
            Some(QualityFrom::Thumbs(None)) if thumbs.is_empty() => {
                return Err(ImportError::Option {
                    what: format!(
                        "{} keeps thumbs in no field of its own",
                        self.options.kind.name()
                    ),
                    help: "name the field: --quality thumbs:FIELD; or join a file: --join \
                           labels.csv --on request_id"
                        .to_owned(),
                });
            }
            Some(QualityFrom::Thumbs(None)) => self.thumbs = true,
            Some(QualityFrom::Expression(text) | QualityFrom::Thumbs(Some(text))) => {
                self.quality = Some(Expression::parse(text, None)?);
            }
            _ => {}
        }
        Ok(())
    }

    fn columns(&self) -> Vec<String> {
        let known = crate::column::Column::ALL
            .into_iter()
            .map(crate::column::Column::name);
        let own = self.importer.extras().iter().copied();
        let mut all: Vec<String> = known.chain(own).map(str::to_owned).collect();
        all.extend([CALLS, MODELS_CALLED].map(str::to_owned));
        for name in &self.options.keep {
            if !all.contains(name) {
                all.push(name.clone());
            }
        }
        all
    }

    /// Turns a batch into calls, side by side, and hands them on in order.
    fn take(&self, batch: &Batch, tally: &mut Tally<'_>, out: &mut Out) -> Result<(), ImportError> {
        let made: Vec<Vec<Result<Made2, Fault>>> = (0..batch.len())
            .into_par_iter()
            .map(|index| match batch.record(index) {
                Ok(record) => self.make_all(&record, batch.spot(index)),
                Err(fault) => vec![Err(fault)],
            })
            .collect();
        for (index, made) in made.into_iter().enumerate() {
            let spot = batch.spot(index);
            for made in made {
                match made {
                    Ok(made) => {
                        tally.record(spot, Ok(()));
                        self.hand_on(made, spot, tally, out)?;
                    }
                    Err(fault) => tally.record(spot, Err(fault)),
                }
            }
            out.drain(false)?;
        }
        Ok(())
    }

    /// Hands on what a record made.
    fn hand_on(
        &self,
        Made2 {
            made,
            scores,
            redacted,
        }: Made2,
        spot: Spot,
        tally: &mut Tally<'_>,
        out: &mut Out,
    ) -> Result<(), ImportError> {
        out.redacted += redacted;
        for skip in made.skips {
            tally.skip(skip);
        }
        for name in scores {
            out.labels.count_score(&name);
        }
        for scored in made.scores {
            out.labels.count_score(&scored.score);
            if !self.has_apart && self.wanted.as_ref() == Some(&scored.score) {
                out.labels.add(scored.about, scored.value);
            }
        }
        for call in made.calls {
            let placed = Placed {
                call,
                file: tally.file(),
                spot,
            };
            out.take(placed, tally)?;
        }
        Ok(())
    }

    /// What a record makes, or each of the records that it holds.
    fn make_all(&self, record: &Record<'_>, spot: Spot) -> Vec<Result<Made2, Fault>> {
        match self.importer.open(record) {
            Ok(None) => vec![self.make(record, spot)],
            Ok(Some(parts)) => parts
                .iter()
                .map(|part| self.make(&Record::of_json(part)?, spot))
                .collect(),
            Err(fault) => vec![Err(fault)],
        }
    }

    fn make(&self, record: &Record<'_>, spot: Spot) -> Result<Made2, Fault> {
        let mut made = Made::default();
        self.importer.calls(record, &mut made)?;
        let scores = self.importer.scores(record)?;
        let label = self.label(record, &scores)?;
        let group = match &self.options.group_by {
            Some(field) if !made.calls.is_empty() => Some(record.need(field)?),
            _ => None,
        };
        let mut redacted = 0;
        for call in &mut made.calls {
            if call.row.request_id.is_empty() && self.importer.names_by_place() {
                call.row.request_id = format!("{}:{}", self.file_number, spot.row);
            }
            if self.options.redact
                && let Some(prompt) = &mut call.row.prompt
            {
                redacted += redact(prompt);
            }
            if self.has_apart {
                call.label = None;
            } else if call.label.is_none() {
                call.label.clone_from(&label);
            }
            for field in &self.options.keep {
                if !call.row.extra.iter().any(|(name, _)| name == field) {
                    call.keep(field, record.loose_text(field)?);
                }
            }
            if let Some(group) = &group {
                let own = std::mem::replace(&mut call.row.request_id, group.clone());
                call.names.push(own);
                call.joins = Joins::Request;
            }
            call.row.check().map_err(|(column, reason)| {
                super::fault(column, reason).of_request(call.row.request_id.clone())
            })?;
        }
        Ok(Made2 {
            made,
            redacted,
            scores: scores.into_iter().map(|(name, _)| name).collect(),
        })
    }

    /// The label that a record holds itself.
    fn label(
        &self,
        record: &Record<'_>,
        scores: &[(String, String)],
    ) -> Result<Option<String>, Fault> {
        if self.has_apart {
            return Ok(None);
        }
        if let Some(wanted) = &self.wanted {
            let found = scores.iter().find(|(name, _)| name == wanted);
            return Ok(found.map(|(_, value)| value.clone()));
        }
        if self.thumbs {
            return match record.first(self.importer.thumbs()) {
                Some(path) => record.loose_text(path),
                None => Ok(None),
            };
        }
        match &self.quality {
            Some(expression) => Ok(expression.eval(record)?.map(label_of)),
            None => Ok(None),
        }
    }
}

/// What a record made, with the names of the scores in it.
struct Made2 {
    made: Made,
    redacted: u64,
    scores: Vec<String>,
}

/// Before the importer is known.
struct Nothing;

impl Importer for Nothing {
    fn signature(&self, _: &Record<'_>) -> Option<&'static str> {
        None
    }
    fn extras(&self) -> &'static [&'static str] {
        &[]
    }
    fn calls(&self, _: &Record<'_>, _: &mut Made) -> Result<(), Fault> {
        Ok(())
    }
}

/// Where rows go.
struct Out {
    writer: LogWriter,
    gather: Gather,
    labels: Labels,
    meaning: Meaning,
    label_report: LabelReport,
    by_arm: BTreeMap<String, (u64, u64)>,
    rows: u64,
    unpriced: u64,
    free: u64,
    without_prompts: bool,
    redacted: u64,
}

impl Out {
    fn take(&mut self, mut placed: Placed, tally: &mut Tally<'_>) -> Result<(), ImportError> {
        if self.without_prompts {
            placed.call.row.prompt = None;
        }
        if placed.call.joins == Joins::Nothing {
            self.gather.counts.calls += 1;
            return self.write(placed);
        }
        let (file, spot) = (placed.file, placed.spot);
        if let Err(fault) = self.gather.add(placed) {
            tally.reject(file, spot, fault);
        }
        Ok(())
    }

    /// Writes the requests that are complete, or no longer fit into the window.
    fn drain(&mut self, is_end: bool) -> Result<(), ImportError> {
        while let Some(calls) = self.gather.next(is_end) {
            if let Some(placed) = self.gather.row(calls) {
                self.write(placed)?;
            }
        }
        Ok(())
    }

    fn write(&mut self, placed: Placed) -> Result<(), ImportError> {
        let mut call = placed.call;
        let names = call.names.iter().chain([&call.id, &call.row.request_id]);
        let label = call.label.clone().or_else(|| self.labels.of(names));
        if let Some(label) = label {
            match self.meaning.quality(&label) {
                Ok(quality) => call.row.quality = Some(quality),
                Err(reason) => {
                    *self
                        .label_report
                        .faults
                        .entry(reason.to_string())
                        .or_default() += 1;
                }
            }
        }
        let is_labelled = call.row.quality.is_some();
        let report = &mut self.label_report;
        report.labelled += u64::from(is_labelled);
        report.unlabelled += u64::from(!is_labelled);
        if !self.by_arm.contains_key(&call.row.model) {
            self.by_arm.insert(call.row.model.clone(), (0, 0));
        }
        if let Some((requests, labelled)) = self.by_arm.get_mut(&call.row.model) {
            *requests += 1;
            *labelled += u64::from(is_labelled);
        }
        self.rows += 1;
        self.unpriced += u64::from(call.row.cost.is_none());
        self.free += u64::from(call.row.cost == Some(plimsoll::Usd::ZERO));
        self.writer.write_owned(call.row)?;
        Ok(())
    }
}

/// The report, or why there is no log.
fn finish(mut tally: Tally<'_>, mut out: Out, digest: String) -> Result<ImportReport, ImportError> {
    if out.gather.counts.from_cache > 0 {
        let what = Skip::CacheHit.describe().to_owned();
        *tally.skipped.entry(what).or_default() += out.gather.counts.from_cache;
    }
    let rejected: u64 = tally.rejected.values().sum();
    #[expect(clippy::cast_precision_loss, reason = "counts of rows stay below 2^53")]
    let is_above =
        |part: u64, whole: u64| part as f64 > tally.options.read.max_reject * whole as f64;
    if out.rows == 0 && (rejected == 0 || !is_above(rejected, tally.records)) {
        let skipped = tally
            .skipped
            .iter()
            .map(|(what, n)| format!("{n} left out: {what}"));
        let broken = tally
            .rejected
            .iter()
            .map(|(what, n)| format!("{n} rejected as {what}"));
        return Err(ImportError::NothingLeft {
            records: tally.records,
            why: skipped.chain(broken).collect(),
            rejects: tally.rejects,
        });
    }
    if is_above(rejected, tally.records) {
        return Err(ImportError::TooManyRejects {
            rejected,
            records: tally.records,
            max_reject: tally.options.read.max_reject,
            rejects: tally.rejects,
        });
    }
    let mut labels = out.label_report;
    let faults: u64 = labels.faults.values().sum();
    if is_above(faults, faults + labels.labelled) {
        let worst = labels.faults.iter().max_by_key(|(_, count)| **count);
        return Err(ImportError::TooManyLabelFaults {
            faults,
            labels: faults + labels.labelled,
            why: worst.map(|(why, _)| why.clone()).unwrap_or_default(),
        });
    }
    out.writer.finish()?;
    labels.scores = std::mem::take(&mut out.labels.scores);
    labels.read_apart = out.labels.read;
    labels.contradicting = out.labels.contradicting;
    labels.superseded = out.labels.superseded;
    labels.unmatched = out.labels.unmatched();
    labels.arms = out
        .by_arm
        .into_iter()
        .map(|(arm, (requests, labelled))| ArmLabels {
            arm,
            requests,
            labelled,
        })
        .collect();
    labels.p_same_share = p_same_share(&labels.arms);
    let counts = out.gather.counts;
    Ok(ImportReport {
        kind: tally.options.kind,
        files: tally.files,
        records: tally.records,
        calls: counts.calls,
        rows: out.rows,
        merged_requests: counts.merged_requests,
        merged_calls: counts.merged_calls,
        several_models: counts.several_models,
        cost_unknown_in_part: counts.cost_unknown_in_part,
        duplicates: counts.duplicates,
        unpriced: out.unpriced,
        free: out.free,
        redacted: out.redacted,
        skipped: tally.skipped,
        rejected: tally.rejected,
        rejects: tally.rejects,
        labels,
        evidence: tally.options.kind.evidence(),
        rule: match tally.options.group_by {
            Some(_) => ImportKind::Litellm.rule(),
            None => tally.options.kind.rule(),
        },
        digest,
    })
}

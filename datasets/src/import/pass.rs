//! The pass over the calls: records become calls, side by side, and are handed on in order.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;

use rayon::prelude::*;

use super::call::Joins;
use super::expression::Expression;
use super::gather::{CALLS, MODELS_CALLED, Placed};
use super::importer::{Importer, Made};
use super::kind::first_record;
use super::labels::{Meaning, QualityFrom, label_of};
use super::out::Out;
use super::record::Record;
use super::redact::redact;
use super::run::{has_field, no_field};
use super::source_files::{Batch, read_batches};
use super::tally::Tally;
use super::{ImportError, ImportOptions};
use crate::assemble::{Fault, Spot};
use crate::source::{Meter, Source};

/// Batches that are read before the first of them is handed on.
const BATCHES_AHEAD: u32 = 2;

/// The pass over the calls.
pub(super) struct MainPass<'a> {
    pub(super) importer: &'a dyn Importer,
    pub(super) options: &'a ImportOptions,
    pub(super) meaning: Meaning,
    pub(super) quality: Option<Expression>,
    pub(super) thumbs: bool,
    pub(super) wanted: Option<String>,
    /// Whether labels come from a file of their own, so that records hold none.
    pub(super) has_apart: bool,
    /// The number of the file among those with calls, from 1.
    pub(super) file_number: u32,
    sought: Sought,
}

/// The fields that labels are to come from, and whether any record has them.
#[derive(Default)]
struct Sought {
    fields: Vec<(String, AtomicBool)>,
    /// The fields of the first record, for whoever mistyped one.
    names: Vec<String>,
}

impl Sought {
    fn look(&self, record: &Record<'_>) {
        for (field, is_seen) in &self.fields {
            // Lines of text have no fields: their importer reads the loss itself.
            let is_text = matches!(record, Record::Text(_));
            if !is_seen.load(Ordering::Relaxed) && (is_text || has_field(field, record)) {
                is_seen.store(true, Ordering::Relaxed);
            }
        }
    }
}

impl<'a> MainPass<'a> {
    pub(super) fn new(
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
            sought: Sought::default(),
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
            first_record(source, cut, &options.read, &mut |record| {
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
        let sought = pass.quality.iter().flat_map(Expression::fields);
        pass.sought.fields = sought
            .map(|f| (f.clone(), AtomicBool::new(false)))
            .collect();
        Ok(pass)
    }

    /// Fails when labels were to come from a field that not one record had.
    pub(super) fn check_sought(&self) -> Result<(), ImportError> {
        let mut unseen = self.sought.fields.iter();
        match unseen.find(|(_, is_seen)| !is_seen.load(Ordering::Relaxed)) {
            Some((field, _)) => Err(no_field(
                field,
                self.sought.names.iter().map(String::as_str),
            )),
            None => Ok(()),
        }
    }

    /// Settles where labels are, with the first record at hand.
    pub(super) fn look(&mut self, thumbs: &[&str], record: &Record<'_>) -> Result<(), ImportError> {
        if self.options.join.is_some() {
            return Ok(());
        }
        let names = record.names().into_iter();
        self.sought.names = names.map(str::to_owned).collect();
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

    pub(super) fn look_blind(&mut self, thumbs: &[&str]) -> Result<(), ImportError> {
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
                    help: "name a field or a score: --quality thumbs:FIELD, --quality score:NAME; \
                           or join a file: --join labels.csv --on request_id"
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

    pub(super) fn columns(&self) -> Vec<String> {
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

    /// Reads a file of calls: while one batch is cut from it, the one before is turned into calls on
    /// all threads, and the one before that is handed on in order.
    pub(super) fn read(
        &self,
        source: &Source,
        meter: &Meter,
        tally: &mut Tally<'_>,
        out: &mut Out,
    ) -> Result<(), ImportError> {
        let (to_make, to_be_made) = channel::<Batch>();
        let (made, to_hand_on) = channel();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for batch in to_be_made {
                    let of_batch = self.make_batch(&batch);
                    // The receiver is gone when the import has failed.
                    if made.send((batch, of_batch)).is_err() {
                        break;
                    }
                }
            });
            let mut failed = None;
            let mut under_way = 0;
            let mut take = |batch: Batch| {
                let sent = to_make.send(batch);
                sent.expect("the thread ends after this sender");
                under_way += 1;
                if under_way <= BATCHES_AHEAD {
                    return Ok(());
                }
                under_way -= 1;
                let (batch, of_batch) = to_hand_on.recv().expect("the thread sends what it gets");
                self.hand_on_batch(&batch, of_batch, tally, out)
            };
            let (read, cut) = (&self.options.read, self.importer.cut());
            read_batches(source, meter, read, cut, &mut |batch| {
                failed = take(std::mem::take(batch)).err();
                Ok(failed.is_none())
            })?;
            drop(to_make);
            if let Some(error) = failed {
                return Err(error);
            }
            for (batch, of_batch) in to_hand_on {
                self.hand_on_batch(&batch, of_batch, tally, out)?;
            }
            Ok(())
        })
    }

    /// What the records of a batch make, in their order.
    fn make_batch(&self, batch: &Batch) -> Vec<Vec<Result<OfRecord, Fault>>> {
        let indices = (0..batch.len()).into_par_iter();
        let made = indices.map(|index| match batch.record(index) {
            Ok(record) => self.make_all(&record, batch.spot(index)),
            Err(fault) => vec![Err(fault)],
        });
        made.collect()
    }

    fn hand_on_batch(
        &self,
        batch: &Batch,
        of_batch: Vec<Vec<Result<OfRecord, Fault>>>,
        tally: &mut Tally<'_>,
        out: &mut Out,
    ) -> Result<(), ImportError> {
        for (index, of_record) in of_batch.into_iter().enumerate() {
            let spot = batch.spot(index);
            for made in of_record {
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
    pub(super) fn hand_on(
        &self,
        OfRecord {
            made,
            scores,
            redacted,
        }: OfRecord,
        spot: Spot,
        tally: &mut Tally<'_>,
        out: &mut Out,
    ) -> Result<(), ImportError> {
        out.redacted += redacted;
        for skip in made.skips {
            tally.skip(skip, 1);
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
    pub(super) fn make_all(&self, record: &Record<'_>, spot: Spot) -> Vec<Result<OfRecord, Fault>> {
        match self.importer.open(record) {
            Ok(None) => vec![self.make(record, spot)],
            Ok(Some(parts)) => parts
                .iter()
                .map(|part| self.make(&Record::of_json(part)?, spot))
                .collect(),
            Err(fault) => vec![Err(fault)],
        }
    }

    pub(super) fn make(&self, record: &Record<'_>, spot: Spot) -> Result<OfRecord, Fault> {
        self.sought.look(record);
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
        Ok(OfRecord {
            made,
            redacted,
            scores: scores.into_iter().map(|(name, _)| name).collect(),
        })
    }

    /// The label that a record holds itself.
    pub(super) fn label(
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
pub(super) struct OfRecord {
    pub(super) made: Made,
    pub(super) redacted: u64,
    pub(super) scores: Vec<String>,
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

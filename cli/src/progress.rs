//! Progress on stderr, for people who are watching.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use plimsoll::Usd;
use plimsoll_harness::Stage;
use plimsoll_harness::certificate::TuneStage;
use plimsoll_harness::stream::StreamStage;

use crate::console::Console;

/// A bar or a spinner; nothing at all when stderr is not a terminal.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    pub(crate) fn new(console: Console) -> Self {
        // Hidden until it has its style, or a bar without a length is seen first.
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden())
            .with_style(ProgressStyle::default_spinner());
        if console.progress {
            bar.set_draw_target(ProgressDrawTarget::stderr());
            bar.enable_steady_tick(Duration::from_millis(120));
        }
        Self(bar)
    }

    /// Rows read so far.
    pub(crate) fn rows(&self, rows: u64) {
        self.0.set_message(format!("read {rows} rows"));
    }

    /// Requests written so far.
    pub(crate) fn requests(&self, done: u64, total: u64) {
        self.0
            .set_message(format!("wrote {done} of {total} requests"));
    }

    /// Answers collected so far, and what was spent or is held for them.
    pub(crate) fn collecting(&self, done: usize, total: usize, committed: Usd) {
        let usd = committed.as_f64();
        self.0.set_message(format!(
            "{done} of {total} answers, {usd:.4} USD spent or held"
        ));
    }

    /// Runs of a learning replay.
    pub(crate) fn runs(&self, runs: usize) {
        self.0
            .set_message(format!("replaying a learning policy under {runs} seeds"));
    }

    /// Where tuning is.
    pub(crate) fn tuning(&self, stage: TuneStage) {
        let bar = &self.0;
        match stage {
            TuneStage::Predictors { done, total } => {
                self.counted(done, total, "fitting predictors");
            }
            TuneStage::Certifying { done, total } => {
                self.counted(done, total, "certifying on untouched rows");
            }
            TuneStage::Features => bar.set_message("reading features from prompts"),
            TuneStage::Choosing => {
                bar.set_message("comparing predictors, rules and thresholds");
            }
            _ => bar.set_message("working"),
        }
    }

    fn counted(&self, done: usize, total: usize, what: &'static str) {
        let bar = &self.0;
        if bar.length() != Some(total as u64) {
            bar.set_length(total as u64);
            bar.set_style(
                ProgressStyle::with_template("{bar:24} {pos}/{len} {msg}")
                    .unwrap_or_else(|_| ProgressStyle::default_bar()),
            );
        }
        bar.set_position(done as u64);
        bar.set_message(what);
    }

    /// Where a streaming replay is.
    pub(crate) fn streaming(&self, stage: StreamStage) {
        match stage {
            StreamStage::Survey => self.0.set_message("surveying the log"),
            StreamStage::Fit(stage) => self.stage(stage),
            _ => self.0.set_message("judging every untouched row"),
        }
    }

    /// Where a replay is.
    pub(crate) fn stage(&self, stage: Stage) {
        self.0.set_message(match stage {
            Stage::Features => "reading features from prompts".to_owned(),
            Stage::Predictors { done, total } => {
                format!("trying predictors on the training rows: {done} of {total}")
            }
            Stage::Judging => "judging on untouched rows".to_owned(),
            _ => "working".to_owned(),
        });
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

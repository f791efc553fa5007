//! Options of `replay --learning`.

use clap::Args;

use super::share;

/// A policy that goes on learning.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Learning policies")]
#[group(skip)]
pub(crate) struct LearningArgs {
    /// Replay a policy that goes on learning from the answers to its own choices
    #[arg(
        long,
        conflicts_with_all = [
            "baseline", "train_share", "split", "segments", "invoice_usd", "resamples", "show_text",
        ]
    )]
    pub(crate) learning: bool,
    /// Runs; bands are over these [default: 20]
    #[arg(long, value_name = "N", requires = "learning")]
    pub(crate) seeds: Option<usize>,
    /// Share of the requests to start from; 0 is a cold start [default: 0.2]
    #[arg(long, value_name = "SHARE", value_parser = share, requires = "learning")]
    pub(crate) warm_up: Option<f64>,
    /// Replay in an order shuffled by each seed, not in the order of time
    #[arg(long, requires = "learning")]
    pub(crate) shuffle: bool,
    /// How long a label takes: requests decided in between, or a time such as 10m; exp:50 and
    /// exp:10m are drawn with that mean [default: 0]
    #[arg(long, value_name = "N|TIME", requires = "learning")]
    pub(crate) delay: Option<String>,
    /// Share of the answers that ever get a label [default: 1]
    #[arg(long, value_name = "SHARE", value_parser = share, requires = "learning")]
    pub(crate) label_share: Option<f64>,
    /// Labels that take longer never arrive [default: all do]
    #[arg(long, value_name = "N|TIME", requires = "learning")]
    pub(crate) censor_after: Option<String>,
    /// Change an arm's mean quality, at a share of the replayed requests (0.5) or a request (1200),
    /// for instance small:0.5:-0.18; may be repeated
    #[arg(long, value_name = "ARM:AT:CHANGE", requires = "learning")]
    pub(crate) drift: Vec<String>,
    /// Multiply an arm's costs, for instance small:0.5:2.0; may be repeated
    #[arg(long, value_name = "ARM:AT:FACTOR", requires = "learning")]
    pub(crate) price: Vec<String>,
    /// Do not tell the policy of price changes: it must notice them
    #[arg(long, requires = "price")]
    pub(crate) unannounced: bool,
    /// Let an arm appear, for instance small:0.3; may be repeated
    #[arg(long, value_name = "ARM:AT", requires = "learning")]
    pub(crate) arm_appears: Vec<String>,
    /// Let an arm vanish, for instance small:0.6; may be repeated
    #[arg(long, value_name = "ARM:AT", requires = "learning")]
    pub(crate) arm_vanishes: Vec<String>,
    /// Of a log with propensities: most events to accept [default: all]
    #[arg(long, value_name = "N", requires = "learning")]
    pub(crate) horizon: Option<usize>,
}

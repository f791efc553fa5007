//! Vowpal Wabbit's text: `action:cost:probability | features` lines (`cb`), and blocks of a line per
//! action with one of them labelled (`cb_adf`).
//!
//! What VW calls a cost is a loss here: it is no money, and its range is not known. It is kept in the
//! column `loss`, and becomes quality only as `--scale` or `--quality` say.

use super::call::{Call, Joins, Skip};
use super::importer::{Importer, Made};
use super::loss::LossLabels;
use super::record::Record;
use super::source_files::Cut;
use super::{ImportError, ImportOptions, fault};
use crate::assemble::Fault;
use crate::column::Column;
use crate::reject::RejectReason;
use crate::row::Cell;

/// Both kinds of text.
#[derive(Default)]
pub(super) struct Vw {
    labels: LossLabels,
}

/// What expressions may name.
const NAMES: [&str; 2] = ["loss", "probability"];

impl Importer for Vw {
    fn signature(&self, record: &Record<'_>) -> Option<&'static str> {
        let Record::Text(text) = record else {
            return None;
        };
        let lines: Vec<Line<'_>> = text
            .lines()
            .map(Line::parse)
            .collect::<Result<_, _>>()
            .ok()?;
        let is_shared = lines.first().is_some_and(Line::is_shared);
        let is_labelled = lines
            .iter()
            .any(|line| line.choice().is_ok_and(|c| c.is_some()));
        match (is_shared, is_labelled, lines.len()) {
            (true, _, _) => Some("a line that begins with `shared` and has a bar"),
            (false, true, 1) => Some("lines `action:cost:probability | features`"),
            (false, true, _) => Some("blocks of lines with bars, one `action:cost:probability`"),
            (false, false, _) => None,
        }
    }

    fn cut(&self) -> Cut {
        Cut::Examples
    }

    fn extras(&self) -> &'static [&'static str] {
        &["loss"]
    }

    fn names_by_place(&self) -> bool {
        true
    }

    fn configure(&mut self, options: &ImportOptions) -> Result<(), ImportError> {
        self.labels = LossLabels::new(options, &NAMES)?;
        self.labels.check_fields(&NAMES)
    }

    fn calls(&self, record: &Record<'_>, made: &mut Made) -> Result<(), Fault> {
        let Record::Text(text) = record else {
            return Err(Fault::new(RejectReason::WrongType {
                got: "a table or JSON",
                wanted: "Vowpal Wabbit's text",
            }));
        };
        if let Some(at) = text.find('\0') {
            return Err(Fault::new(RejectReason::NulCharacter).at_offset(at as u64));
        }
        let lines: Vec<Line<'_>> = text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .map(Line::parse)
            .collect::<Result<_, _>>()?;
        let (shared, actions) = match lines.split_first() {
            Some((first, rest)) if first.is_shared() => (Some(first), rest),
            _ => (None, lines.as_slice()),
        };
        if actions.iter().any(Line::is_other) {
            return Err(fault("label", other_problem()));
        }
        let made_call = match actions {
            [only] if shared.is_none() && only.is_cb()? => only.cb_call()?,
            actions => adf_call(shared, actions)?,
        };
        let Some((mut call, choice)) = made_call else {
            made.skip(Skip::Unlabelled);
            return Ok(());
        };
        // Decisions stand for themselves.
        call.joins = Joins::Nothing;
        if let Some(probability) = choice.probability {
            call.set(
                Column::Propensity,
                Cell::Untyped(probability),
                "probability",
            )?;
        }
        let fields = choice.fields();
        call.label = self.labels.label(choice.loss, &Record::of_json(&fields)?)?;
        call.keep("loss", Some(choice.loss.to_owned()));
        made.calls.push(call);
        Ok(())
    }
}

/// A line, cut into what stands before the first bar and what stands behind it.
struct Line<'a> {
    /// The parts of the label.
    label: Vec<&'a str>,
    tag: Option<&'a str>,
    /// Namespaces and features, without the first bar.
    features: &'a str,
}

/// What is known of the action that was chosen.
struct Choice<'a> {
    /// The number before the first colon.
    action: u32,
    loss: &'a str,
    probability: Option<&'a str>,
}

impl<'a> Line<'a> {
    fn parse(text: &'a str) -> Result<Self, Fault> {
        let text = text.trim_end();
        let Some((head, features)) = text.split_once('|') else {
            return Err(fault(
                "label",
                RejectReason::WrongType {
                    got: "a line without a bar",
                    wanted: "`action:cost:probability | features`, `shared | features` or \
                             ` | features`",
                },
            ));
        };
        let mut label: Vec<&str> = head.split_ascii_whitespace().collect();
        let touches = !head.is_empty() && !head.ends_with([' ', '\t']);
        let tag = match label.last().copied() {
            Some(last) if last.starts_with('\'') => Some(&last[1..]),
            Some(last) if touches => Some(last),
            _ => None,
        };
        if tag.is_some() {
            label.pop();
        }
        // Vowpal Wabbit takes what touches the bar for a tag; here somebody meant a label.
        if let Some(tag) = tag
            && touches
            && label.is_empty()
            && (tag == "shared" || Choice::parse(tag).is_ok_and(|choice| choice.is_some()))
        {
            return Err(fault(
                "label",
                RejectReason::WrongType {
                    got: "a label that touches the bar: Vowpal Wabbit reads it as a tag",
                    wanted: "a space before `|`",
                },
            ));
        }
        Ok(Self {
            label,
            tag: tag.filter(|tag| !tag.is_empty()),
            features,
        })
    }

    fn is_shared(&self) -> bool {
        self.label == ["shared"]
    }

    /// Whether it belongs to a kind of example that this is no importer for.
    fn is_other(&self) -> bool {
        matches!(
            self.label.first(),
            Some(&("ccb" | "slates" | "ca" | "shared"))
        )
    }

    /// The choice that the label tells of; a label has one at most.
    fn choice(&self) -> Result<Option<Choice<'a>>, Fault> {
        let mut found = None;
        for part in &self.label {
            if let Some(choice) = Choice::parse(part)?
                && found.replace(choice).is_some()
            {
                return Err(fault("label", RejectReason::Conflict));
            }
        }
        Ok(found)
    }

    /// Whether a line on its own is a `cb` line: those count actions from 1, `cb_adf` writes 0.
    fn is_cb(&self) -> Result<bool, Fault> {
        Ok(self.choice()?.is_none_or(|choice| choice.action > 0))
    }

    /// The call that a `cb` line tells of.
    fn cb_call(&self) -> Result<Option<(Call, Choice<'a>)>, Fault> {
        let Some(choice) = self.choice()? else {
            return Ok(None);
        };
        let mut call = Call::new(String::new(), numbered(choice.action));
        call.names.extend(self.tag.map(str::to_owned));
        call.row.prompt = context(self.features);
        // Actions without a cost are those that could have been chosen too.
        if self.label.len() > 1 {
            let mut candidates = Vec::with_capacity(self.label.len());
            for part in &self.label {
                let number = part.split(':').next().unwrap_or_default();
                candidates.push(numbered(action_number(number)?));
            }
            call.set(Column::Candidates, Cell::Texts(candidates), "label")?;
        }
        Ok(Some((call, choice)))
    }

    /// The only feature of the line, without its value.
    fn only_feature(&self) -> Option<&'a str> {
        let mut features = self.features.split('|').flat_map(|namespace| {
            // What touches the bar is the namespace's name.
            let is_named = !namespace.starts_with([' ', '\t']);
            namespace
                .split_ascii_whitespace()
                .skip(usize::from(is_named))
        });
        let only = features.next()?;
        let name = only.rsplit_once(':').map_or(only, |(name, _)| name);
        features.next().is_none().then_some(name)
    }
}

impl<'a> Choice<'a> {
    /// `action:cost` or `action:cost:probability`; `None`: an action without a cost.
    fn parse(part: &'a str) -> Result<Option<Self>, Fault> {
        let mut parts = part.split(':');
        let action = action_number(parts.next().unwrap_or_default())?;
        let Some(loss) = parts.next() else {
            return Ok(None);
        };
        let probability = parts.next();
        if parts.next().is_some() || !loss.parse::<f64>().is_ok_and(f64::is_finite) {
            return Err(not_a_label());
        }
        Ok(Some(Self {
            action,
            loss,
            probability,
        }))
    }

    /// What expressions may name, as JSON.
    fn fields(&self) -> String {
        let number = |text: &str| text.parse::<f64>().ok();
        serde_json::json!({
            NAMES[0]: number(self.loss),
            NAMES[1]: self.probability.and_then(number),
        })
        .to_string()
    }
}

/// The call that the lines of a `cb_adf` block tell of.
fn adf_call<'a>(
    shared: Option<&Line<'a>>,
    actions: &[Line<'a>],
) -> Result<Option<(Call, Choice<'a>)>, Fault> {
    let mut chosen = None;
    for (index, line) in actions.iter().enumerate() {
        if let Some(choice) = line.choice()?
            && chosen.replace((index, choice)).is_some()
        {
            return Err(fault("label", RejectReason::Conflict));
        }
    }
    let Some((index, choice)) = chosen else {
        return Ok(None);
    };
    // Without a `shared` line, a `cb` line that unlabelled ones follow looks like a block: its
    // action's number is then seldom the line's.
    let position = u32::try_from(index).unwrap_or(u32::MAX);
    let is_own = choice.action <= 1 && index == 0
        || choice.action == 0
        || choice.action == position
        || choice.action == position.saturating_add(1);
    if shared.is_none() && !is_own {
        return Err(fault(
            "label",
            RejectReason::WrongType {
                got: "an action that is not the line's own",
                wanted: "a `cb` line with an empty line behind it, or a block whose label is 0 or \
                         the line's number",
            },
        ));
    }
    let names = arm_names(actions);
    let mut call = Call::new(String::new(), names[index].clone());
    call.names
        .extend(shared.and_then(|shared| shared.tag).map(str::to_owned));
    call.row.prompt = shared.and_then(|shared| context(shared.features));
    call.set(Column::Candidates, Cell::Texts(names), "label")?;
    Ok(Some((call, choice)))
}

/// Names of a block's actions: their tags, or else their only features, or else their numbers;
/// whichever tells all of them apart.
fn arm_names(actions: &[Line<'_>]) -> Vec<String> {
    let differ = |names: &Option<Vec<&str>>| {
        names.as_ref().is_some_and(|names| {
            let mut sorted = names.clone();
            sorted.sort_unstable();
            sorted.dedup();
            sorted.len() == names.len()
        })
    };
    let tags: Option<Vec<&str>> = actions.iter().map(|line| line.tag).collect();
    let features: Option<Vec<&str>> = actions.iter().map(Line::only_feature).collect();
    let told = [tags, features].into_iter().find(differ).flatten();
    match told {
        Some(names) => names.into_iter().map(str::to_owned).collect(),
        None => (1..=actions.len())
            .map(|number| format!("action-{number}"))
            .collect(),
    }
}

fn numbered(action: u32) -> String {
    format!("action-{action}")
}

/// The context, as it is written.
fn context(features: &str) -> Option<String> {
    let text = features.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

fn action_number(text: &str) -> Result<u32, Fault> {
    text.parse().map_err(|_| not_a_label())
}

fn not_a_label() -> Fault {
    fault(
        "label",
        RejectReason::WrongType {
            got: "another label",
            wanted: "`action:cost:probability`",
        },
    )
}

fn other_problem() -> RejectReason {
    RejectReason::WrongType {
        got: "an example of another problem (slates, conditional or continuous bandits)",
        wanted: "`cb` lines or `cb_adf` blocks",
    }
}

/// How lines are put together to examples while they are read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Block {
    is_shared: bool,
    is_labelled: bool,
}

impl Block {
    /// Whether a line begins another example: without a `shared` line, none has two labels.
    pub(super) fn ends_before(&mut self, line: &[u8]) -> bool {
        let head = line.split(|byte| *byte == b'|').next().unwrap_or_default();
        let first = head.trim_ascii_start();
        let is_shared = first.starts_with(b"shared");
        // Of a label without a colon only what does not look like a tag.
        let last = head
            .split(u8::is_ascii_whitespace)
            .rfind(|word| !word.is_empty());
        let has_space = head.last().is_some_and(u8::is_ascii_whitespace);
        let is_word = has_space && last.is_some_and(|word| !word.starts_with(b"'"));
        let is_labelled = !is_shared && (first.contains(&b':') || is_word);
        let is_other = is_shared || is_labelled && self.is_labelled && !self.is_shared;
        if is_other {
            *self = Self {
                is_shared,
                is_labelled,
            };
        } else {
            self.is_labelled |= is_labelled;
        }
        is_other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_told_from_labels() {
        let parse = |text| Line::parse(text).map(|line| (line.label.len(), line.tag));
        assert_eq!(parse("1:2:0.4 | a c").ok(), Some((1, None)));
        assert_eq!(parse("1:2:0.4 tag| a c").ok(), Some((1, Some("tag"))));
        assert_eq!(parse("1:2:0.4 'tag | a c").ok(), Some((1, Some("tag"))));
        assert_eq!(parse("|a b").ok(), Some((0, None)));
        assert!(
            parse("1:2:0.4| a c").is_err(),
            "a label that touches the bar"
        );
        assert!(parse("shared| a c").is_err());
        assert!(parse("no bar").is_err());
    }

    #[test]
    fn the_only_feature_is_found() {
        let only = |text| Line::parse(text).ok().and_then(|line| line.only_feature());
        assert_eq!(only("|Action article=sports "), Some("article=sports"));
        assert_eq!(only(" | a:0.5"), Some("a"));
        assert_eq!(only("|A x |B y"), None);
        assert_eq!(only("|A |B"), None);
    }
}

//! `plimsoll explain`: an error code, or one request.

use plimsoll_datasets::Input;
use plimsoll_reports::render_explanation;

use super::judging::{Command, options, policy};
use super::names;
use crate::app::Context;
use crate::args::ExplainArgs;
use crate::codes;
use crate::console::shell_word;
use crate::exit::Exit;
use crate::log_input::Loaded;
use crate::output::Output;
use crate::problem::Failure;
use crate::progress::Progress;

pub(crate) fn run(context: &Context, args: &ExplainArgs) -> Result<Exit, Failure> {
    match &args.request {
        Some(id) => request(context, args, id),
        None => code(context, &args.subject),
    }
}

fn code(context: &Context, subject: &str) -> Result<Exit, Failure> {
    let Some(explained) = codes::find(subject) else {
        let what = if codes::is_code(subject) {
            format!("no error has the code {subject}")
        } else {
            format!("`{subject}` is no error code, and no --request was given")
        };
        let help =
            "codes read P0203; a request is explained by `plimsoll explain LOG --request ID`";
        return Err(Failure::plain(Exit::Usage, "P0709", what, help));
    };
    let text = if context.global.json {
        let value = serde_json::json!({
            "code": explained.code, "title": explained.title, "text": explained.text,
        });
        format!("{value:#}")
    } else {
        format!(
            "{}: {}\n\n{}",
            explained.code, explained.title, explained.text
        )
    };
    context.console.data(&text)?;
    Ok(Exit::Done)
}

fn request(context: &Context, args: &ExplainArgs, id: &str) -> Result<Exit, Failure> {
    let output = Output::new(context, args.judge.format)?;
    let policy_path = args.policy.as_deref();
    let policy = policy(context, policy_path)?;
    let command = Command::new("explain", &args.subject)
        .option("request", id)
        .files("policy", policy_path)
        .judging(context, &args.reading, &args.judge);
    let options = options(context, &policy, &args.judge, command)?;
    let loaded = Loaded::read(context, &Input::parse(&args.subject), &args.reading)?;
    names::check(context, &loaded, &args.judge, std::slice::from_ref(&policy))?;
    names::check_request(&loaded, id)?;
    let progress = Progress::new(context.console);
    let explained = plimsoll_harness::explain(&loaded.replay_input(), &options, id, &|stage| {
        progress.stage(stage);
    });
    drop(progress);
    let explanation = explained?;
    output.write(|form, style| render_explanation(&explanation, form, style))?;
    let log = shell_word(&args.subject);
    let policy = policy_path.map_or_else(String::new, |path| {
        format!(" --policy {}", shell_word(&path.to_string_lossy()))
    });
    context
        .console
        .next(&format!("plimsoll replay {log}{policy} -o report.html"));
    Ok(Exit::Done)
}

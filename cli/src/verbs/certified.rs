//! `plimsoll replay --certificate`: a certificate held against a newer log.

use std::path::Path;

use plimsoll_datasets::Input;
use plimsoll_harness::certificate::{
    Certificate, CertificateError, Check, CheckOptions, Look, Standing, check,
};
use plimsoll_reports::{Format, certificate_json, parse_certificate, render_check};

use super::judging::Command;
use crate::app::Context;
use crate::args::{Form, ReplayArgs};
use crate::console::shell_word;
use crate::exit::Exit;
use crate::input::read_bytes;
use crate::log_input::Loaded;
use crate::output::{Output, format_of};
use crate::problem::{Failure, Problem};
use crate::staging::write_file;

pub(crate) fn run(context: &Context, args: &ReplayArgs, path: &Path) -> Result<Exit, Failure> {
    let output = Output::new(context, args.judge.format)?;
    let certificate = read(path)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let snapshot = read_bytes(&beside(folder, &certificate.files.snapshot)?)?;
    let loaded = Loaded::read(context, &Input::parse(&args.log.log), &args.log.reading)?;
    let options = CheckOptions {
        resamples: context.settings.resamples as usize,
        command: Command::new("replay", &args.log.log)
            .files("certificate", [path])
            .reading(context, &args.log.reading)
            .seeded(context),
    };
    let got = check(&loaded.replay_input(), &certificate, &snapshot, &options).map_err(failure)?;
    output.write(|form, style| render_check(&got, form, style))?;
    if args.record {
        record(context, path, certificate, &got)?;
    }
    let log = shell_word(&args.log.log);
    let certificate = shell_word(&path.to_string_lossy());
    context.console.next(&match got.standing {
        Standing::Holds | Standing::Open => {
            format!("plimsoll replay {log} --certificate {certificate} --record")
        }
        Standing::Broken | Standing::Expired => format!("plimsoll tune {log}"),
    });
    Ok(match got.standing {
        Standing::Holds => Exit::Done,
        Standing::Open | Standing::Expired => Exit::Evidence,
        Standing::Broken => Exit::Gate,
    })
}

fn read(path: &Path) -> Result<Certificate, Failure> {
    parse_certificate(&read_bytes(path)?).map_err(|error| {
        let mut failure = Failure::from(error);
        for problem in &mut failure.problems {
            problem.at = Some(path.display().to_string());
            "give the certificate.json that `plimsoll tune` wrote".clone_into(&mut problem.help);
        }
        failure
    })
}

/// A file of the certificate's own folder: a name, never a path that leads elsewhere.
fn beside(folder: &Path, name: &str) -> Result<std::path::PathBuf, Failure> {
    let is_plain = Path::new(name).file_name().is_some_and(|own| own == name);
    if is_plain {
        Ok(folder.join(name))
    } else {
        let what = "it does not name its snapshot";
        Err(failure(CertificateError::Malformed { what }))
    }
}

/// Rewrites the certificate with one look more.
fn record(
    context: &Context,
    path: &Path,
    mut certificate: Certificate,
    check: &Check,
) -> Result<(), Failure> {
    certificate.looks = check.looks;
    certificate.history.push(Look {
        log_digest: check.log_digest.clone(),
        requests: check.rows.judged,
        standing: check.standing,
        margin_low: check.bound.low,
    });
    write_file(path, certificate_json(&certificate)?.as_bytes(), true)?;
    context.console.note(&format!(
        "recorded look {} in {}",
        certificate.looks,
        path.display()
    ));
    Ok(())
}

/// The form of what goes to standard output while files go elsewhere.
pub(super) fn form(context: &Context, form: Option<Form>) -> Format {
    match form {
        Some(form) => format_of(form),
        None if context.global.json => Format::Json,
        None => Format::Terminal,
    }
}

/// A refusal as a failure.
pub(super) fn failure(error: CertificateError) -> Failure {
    let error = match error {
        CertificateError::Evidence(error) => return error.into(),
        other => other,
    };
    let exit = match &error {
        CertificateError::Parts { .. } | CertificateError::UnknownSegment { .. } => Exit::Usage,
        CertificateError::OtherRouter { .. } | CertificateError::Malformed { .. } => Exit::Data,
        _ => Exit::Evidence,
    };
    let impact = (exit == Exit::Evidence).then(|| "nothing is certified".to_owned());
    Failure::new(
        exit,
        Problem {
            code: error.code(),
            what: error.to_string(),
            help: error.help(),
            impact,
            ..Problem::default()
        },
    )
}

//! `plimsoll completions` and `plimsoll man`: the command line, described for other programs.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::app::Context;
use crate::args::Cli;
use crate::exit::Exit;
use crate::output::deliver;
use crate::problem::Failure;

pub(crate) fn completions(context: &Context, shell: Shell) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "plimsoll", &mut script);
    deliver(context, &String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}

pub(crate) fn man(context: &Context) -> Result<Exit, Failure> {
    let mut page = Vec::new();
    let mut write = |command: clap::Command| {
        clap_mangen::Man::new(command)
            .render(&mut page)
            .map_err(|error| Failure::plain(Exit::Error, "P0701", error.to_string(), "try again"))
    };
    let mut command = Cli::command();
    command.build();
    write(command.clone())?;
    for verb in command
        .get_subcommands()
        .filter(|verb| verb.get_name() != "help")
    {
        let name = format!("plimsoll-{}", verb.get_name());
        write(verb.clone().name(name))?;
    }
    deliver(context, &String::from_utf8_lossy(&page))?;
    Ok(Exit::Done)
}

//! `djaffar dead-letters discard`: the one command that drops something for ever, so it asks.

use std::io::{self, IsTerminal, Write};

use writer::dead_letters::DeadLetters;

use super::chosen::Chosen;
use super::{counted, open};
use crate::cli::DiscardArguments;
use crate::command::print;
use crate::failure::Failure;
use crate::settings::size::Size;

pub(super) async fn run(arguments: DiscardArguments) -> Result<(), Failure> {
    if !arguments.yes && !io::stdin().is_terminal() {
        return Err(Failure::misconfigured("discard removes for ever and nobody is there to ask; add --yes"));
    }
    let mut letters = open(&arguments.store).await?;
    let mut chosen = Chosen::new(arguments.which, &mut letters).await?;
    let (count, bytes) = total(chosen.clone(), &mut letters).await?;
    if count > 0 && !arguments.yes && !is_confirmed(count, bytes)? {
        print("nothing is discarded");
        return Ok(());
    }
    let mut removed = 0;
    loop {
        let page = chosen.next(&mut letters).await?;
        if page.is_empty() {
            break;
        }
        removed += letters.remove(&page).await?;
    }
    print(&format!("{} discarded", counted(removed)));
    Ok(())
}

async fn total(mut chosen: Chosen, letters: &mut DeadLetters) -> Result<(u64, Size), Failure> {
    let (mut count, mut bytes) = (0, 0);
    loop {
        let page = chosen.next(letters).await?;
        if page.is_empty() {
            return Ok((count, Size(bytes)));
        }
        count += page.len() as u64;
        bytes += page.iter().map(|head| head.bytes).sum::<u64>();
    }
}

fn is_confirmed(count: u64, bytes: Size) -> Result<bool, Failure> {
    let cannot_ask = |error: io::Error| Failure::failed(format!("cannot ask: {error}"));
    let mut out = io::stdout().lock();
    write!(out, "Discard {} ({bytes}) for ever? [y/N] ", counted(count)).map_err(cannot_ask)?;
    out.flush().map_err(cannot_ask)?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).map_err(cannot_ask)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

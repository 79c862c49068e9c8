//! `djaffar dead-letters list`.

use serde_json::Value;
use writer::dead_letters::LetterFilter;

use super::chosen::PAGE;
use super::{open, print, text};
use crate::cli::ListArguments;
use crate::failure::Failure;

pub(super) async fn run(arguments: ListArguments) -> Result<(), Failure> {
    let mut letters = open(&arguments.store).await?;
    let filter = LetterFilter::from(arguments.filter);
    let mut after = 0;
    loop {
        let page = letters.page(&filter, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        if after == 0 && !arguments.json && !print(&text::heading())? {
            return Ok(());
        }
        after = last.id;
        for head in &page {
            let line =
                if arguments.json { Value::Object(text::object(head)).to_string() } else { text::row(head) };
            if !print(&line)? {
                return Ok(());
            }
        }
    }
    if after == 0 && !arguments.json {
        print("no dead letters")?;
    }
    Ok(())
}

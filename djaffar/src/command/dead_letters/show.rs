//! `djaffar dead-letters show`.

use serde_json::Value;

use super::chosen::missing;
use super::text::{self, Content};
use super::{open, print};
use crate::cli::ShowArguments;
use crate::failure::Failure;

pub(super) async fn run(arguments: ShowArguments) -> Result<(), Failure> {
    let mut letters = open(&arguments.store).await?;
    let letter = letters.letter(arguments.id).await?.ok_or_else(|| missing(arguments.id))?;
    let content = text::content(&letter);
    if arguments.json {
        let mut fields = text::object(&letter.head);
        match content {
            Content::Activity(activity) => fields.insert("activity".to_owned(), text::activity(&activity)),
            Content::Unreadable(_) => {
                fields.insert("hex".to_owned(), Value::String(text::hex(&letter.bytes)))
            }
        };
        print(&Value::Object(fields).to_string())?;
        return Ok(());
    }
    for (name, value) in text::fields(&letter.head) {
        let value = value.as_str().map_or_else(|| value.to_string(), |text| text.escape_debug().to_string());
        print(&format!("{name:<10} {value}"))?;
    }
    match content {
        Content::Activity(activity) => {
            let pretty = serde_json::to_string_pretty(&text::activity(&activity));
            print(&pretty.map_err(|error| Failure::failed(error.to_string()))?)?;
        }
        Content::Unreadable(reason) => {
            print(&format!("{:<10} {}", "unreadable", reason.escape_debug()))?;
            print(&text::hex_dump(&letter.bytes))?;
        }
    }
    Ok(())
}

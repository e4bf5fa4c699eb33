//! An answer, for people and for scripts.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use holster_core::{Content, ToolOutput};
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::print;

/// Prints an answer for a person: texts and structured content as they are, of bytes only what they are.
pub(crate) fn show(output: &ToolOutput) -> Result<(), Exit> {
    for content in &output.content {
        match content {
            Content::Text(text) => print::line(&print::harmless(text))?,
            Content::Structured(value) => {
                print::line(&serde_json::to_string_pretty(value).map_err(Exit::failed)?)?;
            }
            Content::Image { data, mime_type } | Content::Audio { data, mime_type } => {
                let size = print::bytes(data.len() as u64);
                print::line(&format!(
                    "[{}, {size}; `--json` has the bytes]",
                    print::harmless(mime_type)
                ))?;
            }
            Content::ResourceLink { uri, name, .. } => {
                print::line(&format!(
                    "{}: {}",
                    print::harmless(name),
                    print::harmless(uri)
                ))?;
            }
        }
    }
    Ok(())
}

/// An answer as JSON, each item with its `type`, as MCP spells them.
pub(crate) fn to_json(output: &ToolOutput) -> Value {
    let item = |content: &Content| match content {
        Content::Text(text) => json!({ "type": "text", "text": text }),
        Content::Structured(value) => json!({ "type": "structured", "value": value }),
        Content::Image { data, mime_type } => {
            json!({ "type": "image", "data": STANDARD.encode(data), "mimeType": mime_type })
        }
        Content::Audio { data, mime_type } => {
            json!({ "type": "audio", "data": STANDARD.encode(data), "mimeType": mime_type })
        }
        Content::ResourceLink {
            uri,
            name,
            description,
            mime_type,
        } => json!({
            "type": "resource_link", "uri": uri, "name": name, "description": description, "mimeType": mime_type,
        }),
    };
    output.content.iter().map(item).collect()
}

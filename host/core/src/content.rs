//! An answer as JSON, for fronts that have no protocol of their own for it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use holster_runtime::{Content, ResourceContents, ToolOutput};
use serde_json::{Value, json};

/// An answer's items in their order, each with its `type`, as MCP spells them; bytes in base64.
pub fn content_to_json(output: &ToolOutput) -> Value {
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
        Content::Resource {
            uri,
            mime_type,
            contents,
        } => {
            let (held, contents) = match contents {
                ResourceContents::Text(text) => ("text", text.clone()),
                ResourceContents::Blob(bytes) => ("blob", STANDARD.encode(bytes)),
            };
            json!({ "type": "resource", "resource": { "uri": uri, "mimeType": mime_type, held: contents } })
        }
    };
    output.content.iter().map(item).collect()
}

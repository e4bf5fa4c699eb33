//! How a call ended, as the protocol has it.
//!
//! Whatever the agent can do something about is a result with `isError`, so that the model reads it. Only a tool that
//! does not exist is an error of the protocol.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use holster_core::{Account, Content, Failure, Finished, ResourceContents};
use rmcp::ErrorData;
use rmcp::model::{self, CallToolResult, ContentBlock, JsonObject, MetaObject, Resource};
use serde_json::{Value, json};

/// Under which name `_meta` says which accounts acted.
const ACCOUNTS: &str = "holster/accounts";

/// An answer, with the accounts that acted for it.
pub(crate) fn finished(finished: Finished) -> CallToolResult {
    let mut blocks = Vec::with_capacity(finished.output.content.len());
    let mut structured = None;
    for content in finished.output.content {
        blocks.push(block(content, &mut structured));
    }
    let mut result = CallToolResult::success(blocks);
    result.structured_content = structured;
    result.with_meta(accounts(&finished.accounts))
}

fn block(content: Content, structured: &mut Option<Value>) -> ContentBlock {
    match content {
        Content::Text(text) => ContentBlock::text(text),
        Content::Structured(value) => {
            // Older clients read the text alone.
            let text = ContentBlock::text(value.to_string());
            *structured = Some(value);
            text
        }
        Content::Image { data, mime_type } => ContentBlock::image(STANDARD.encode(data), mime_type),
        Content::Audio { data, mime_type } => ContentBlock::audio(STANDARD.encode(data), mime_type),
        Content::Resource {
            uri,
            mime_type,
            contents,
        } => ContentBlock::resource(match contents {
            ResourceContents::Text(text) => model::ResourceContents::TextResourceContents {
                uri,
                mime_type,
                text,
                meta: None,
            },
            ResourceContents::Blob(bytes) => model::ResourceContents::BlobResourceContents {
                uri,
                mime_type,
                blob: STANDARD.encode(bytes),
                meta: None,
            },
        }),
        Content::ResourceLink {
            uri,
            name,
            description,
            mime_type,
        } => {
            let mut link = Resource::new(uri, name);
            link.description = description;
            link.mime_type = mime_type;
            ContentBlock::resource_link(link)
        }
    }
}

fn accounts(accounts: &[Account]) -> Option<MetaObject> {
    (!accounts.is_empty()).then(|| meta(ACCOUNTS, json!(accounts)))
}

/// `_meta` with one entry.
pub(crate) fn meta(name: &str, value: Value) -> MetaObject {
    MetaObject(JsonObject::from_iter([(name.to_owned(), value)]))
}

/// Why there is no answer.
pub(crate) fn failed(failure: &Failure) -> Result<CallToolResult, ErrorData> {
    let accounts = match failure {
        Failure::UnknownTool { .. } => {
            return Err(ErrorData::invalid_params(failure.to_string(), None));
        }
        Failure::Run { accounts, .. } => self::accounts(accounts),
        _ => None,
    };
    Ok(words(with_refusals(failure)).with_meta(accounts))
}

/// A tool often only says that a request failed; the host knows that it was refused, and why.
fn with_refusals(failure: &Failure) -> String {
    let mut text = failure.to_string();
    if let Failure::Run { visits, .. } = failure {
        for visit in visits {
            if let Some(reason) = &visit.refused {
                text = format!(
                    "{text}\nrefused: {} {}: {reason}",
                    visit.method, visit.origin
                );
            }
        }
    }
    text
}

/// A result that only says something, since nothing was done.
pub(crate) fn words(text: impl Into<String>) -> CallToolResult {
    CallToolResult::error(vec![ContentBlock::text(text)])
}

/// An error of the host's own, which neither the model nor the client can mend.
pub(crate) fn internal(error: impl std::fmt::Display) -> ErrorData {
    ErrorData::internal_error(error.to_string(), None)
}

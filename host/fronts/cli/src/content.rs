//! An answer, for people.

use holster_core::{Content, ResourceContents, ToolOutput};

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
            Content::Resource { uri, contents, .. } => {
                print::line(&format!("{}:", print::harmless(uri)))?;
                match contents {
                    ResourceContents::Text(text) => print::line(&print::harmless(text))?,
                    ResourceContents::Blob(bytes) => {
                        let size = print::bytes(bytes.len() as u64);
                        print::line(&format!("[{size}; `--json` has the bytes]"))?;
                    }
                }
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

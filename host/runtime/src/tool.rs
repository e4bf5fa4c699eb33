//! Tools and their answers, checked: what a component says of itself is untrusted until it is one of these types.

use std::collections::BTreeSet;
use std::time::Duration;

use holster_types::{InvalidName, ProviderId, Requirement, Scopes, ToolName};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::bindings::wit_tool as wit;
use crate::schema;

/// One callable function, as agents see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolDefinition {
    /// Unique within the component.
    pub name: ToolName,
    /// A name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What the tool does.
    pub description: String,
    /// JSON Schema 2020-12 of type `object`.
    pub input_schema: Value,
    /// JSON Schema 2020-12 of type `object`, where the tool answers with structured content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<Value>,
    /// The accounts that the tool needs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requirements: Vec<Requirement>,
    /// Hints for the agent.
    #[serde(default)]
    pub behaviour: Behaviour,
}

/// How a tool behaves towards the world. `None` means that the author did not say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Behaviour {
    /// Changes nothing outside itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_only: Option<bool>,
    /// May remove or overwrite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destructive: Option<bool>,
    /// A second call has no further effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotent: Option<bool>,
    /// Reaches things that the host does not know in advance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_world: Option<bool>,
}

/// A tool definition that breaks the contract in `wit/tool.wit`.
#[derive(Debug, Clone, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum InvalidTool {
    #[error("`list-tools` gives no tool; a component holds 1 to 256")]
    None,
    #[error("`list-tools` gives {0} tools; a component holds 1 to 256")]
    TooMany(usize),
    #[error("tool {position}: {error}")]
    Name { position: usize, error: InvalidName },
    #[error("two tools are called `{0}`; names are unique within a component")]
    DuplicateName(ToolName),
    #[error("tool `{tool}`: the {part} has {size} bytes; at most {most}, and not empty")]
    Size {
        tool: ToolName,
        part: &'static str,
        size: usize,
        most: usize,
    },
    #[error("tool `{tool}`: the {part} is not JSON: {error}")]
    NotJson {
        tool: ToolName,
        part: &'static str,
        error: String,
    },
    #[error("tool `{tool}`: the {part} must be a JSON object with `\"type\": \"object\"`")]
    NotObjectSchema { tool: ToolName, part: &'static str },
    #[error("tool `{tool}`: the {part} is not a valid JSON Schema (2020-12): {error}")]
    Schema {
        tool: ToolName,
        part: &'static str,
        error: String,
    },
    #[error("its schemas refer to parts of themselves too often: to compile them takes too long")]
    Intricate,
    #[error("tool `{tool}`, requirement {position}: {error}")]
    Provider {
        tool: ToolName,
        position: usize,
        error: InvalidName,
    },
    #[error("tool `{tool}` requires `{provider}` twice; unite the scopes in one requirement")]
    DuplicateRequirement {
        tool: ToolName,
        provider: ProviderId,
    },
    #[error("tool `{tool}` has {count} {what}; at most {most}")]
    Count {
        tool: ToolName,
        what: &'static str,
        count: usize,
        most: usize,
    },
}

const DESCRIPTION_BYTES: usize = 8 << 10;
const TITLE_BYTES: usize = 512;
const SCHEMA_BYTES: usize = 64 << 10;
const SCOPE_BYTES: usize = 256;
/// How long all schemas of a component may take to compile.
const SCHEMA_TIME: Duration = Duration::from_secs(2);

impl ToolDefinition {
    /// Checks what `list-tools` gave. May take some time.
    pub(crate) fn from_guest(tools: Vec<wit::ToolDefinition>) -> Result<Vec<Self>, InvalidTool> {
        schema::within(SCHEMA_TIME, || Self::all_from_guest(tools))
            .unwrap_or(Err(InvalidTool::Intricate))
    }

    fn all_from_guest(tools: Vec<wit::ToolDefinition>) -> Result<Vec<Self>, InvalidTool> {
        match tools.len() {
            0 => return Err(InvalidTool::None),
            1..=256 => {}
            count => return Err(InvalidTool::TooMany(count)),
        }
        let mut names = BTreeSet::new();
        tools
            .into_iter()
            .enumerate()
            .map(|(position, tool)| {
                let name = ToolName::new(&tool.name).map_err(|error| InvalidTool::Name {
                    position: position + 1,
                    error,
                })?;
                if !names.insert(name.clone()) {
                    return Err(InvalidTool::DuplicateName(name));
                }
                Self::one_from_guest(name, tool)
            })
            .collect()
    }

    fn one_from_guest(name: ToolName, tool: wit::ToolDefinition) -> Result<Self, InvalidTool> {
        check_size(&name, "description", &tool.description, DESCRIPTION_BYTES)?;
        if let Some(title) = &tool.title {
            check_size(&name, "title", title, TITLE_BYTES)?;
        }
        let input_schema = object_schema(&name, "input schema", &tool.input_schema)?;
        let output_schema = tool
            .output_schema
            .as_deref()
            .map(|text| object_schema(&name, "output schema", text))
            .transpose()?;
        let requirements = requirements(&name, tool.requirements)?;
        let wit::Behaviour {
            read_only,
            destructive,
            idempotent,
            open_world,
        } = tool.behaviour;
        Ok(Self {
            name,
            title: tool.title,
            description: tool.description,
            input_schema,
            output_schema,
            requirements,
            behaviour: Behaviour {
                read_only,
                destructive,
                idempotent,
                open_world,
            },
        })
    }
}

fn check_size(
    tool: &ToolName,
    part: &'static str,
    text: &str,
    most: usize,
) -> Result<(), InvalidTool> {
    if (1..=most).contains(&text.len()) {
        Ok(())
    } else {
        Err(InvalidTool::Size {
            tool: tool.clone(),
            part,
            size: text.len(),
            most,
        })
    }
}

fn object_schema(tool: &ToolName, part: &'static str, text: &str) -> Result<Value, InvalidTool> {
    check_size(tool, part, text, SCHEMA_BYTES)?;
    let schema: Value = serde_json::from_str(text).map_err(|error| InvalidTool::NotJson {
        tool: tool.clone(),
        part,
        error: error.to_string(),
    })?;
    if schema.get("type").and_then(Value::as_str) != Some("object") {
        return Err(InvalidTool::NotObjectSchema {
            tool: tool.clone(),
            part,
        });
    }
    match schema::compile(&schema) {
        Ok(_) => Ok(schema),
        Err(error) => Err(InvalidTool::Schema {
            tool: tool.clone(),
            part,
            // It quotes the schema, whatever is in it.
            error: error.to_string().replace(char::is_control, " "),
        }),
    }
}

fn requirements(
    tool: &ToolName,
    declared: Vec<wit::Requirement>,
) -> Result<Vec<Requirement>, InvalidTool> {
    let too_many = |what, count, most| InvalidTool::Count {
        tool: tool.clone(),
        what,
        count,
        most,
    };
    if declared.len() > 16 {
        return Err(too_many("requirements", declared.len(), 16));
    }
    let mut providers = BTreeSet::new();
    declared
        .into_iter()
        .enumerate()
        .map(|(position, requirement)| {
            let provider =
                ProviderId::new(&requirement.provider).map_err(|error| InvalidTool::Provider {
                    tool: tool.clone(),
                    position: position + 1,
                    error,
                })?;
            if !providers.insert(provider.clone()) {
                return Err(InvalidTool::DuplicateRequirement {
                    tool: tool.clone(),
                    provider,
                });
            }
            if requirement.scopes.len() > 64 {
                return Err(too_many("scopes", requirement.scopes.len(), 64));
            }
            for scope in &requirement.scopes {
                check_size(tool, "scope", scope, SCOPE_BYTES)?;
            }
            Ok(Requirement {
                provider,
                scopes: requirement.scopes.into_iter().collect::<Scopes>(),
            })
        })
        .collect()
}

/// The answer of a call that succeeded.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ToolOutput {
    /// In the order in which the client should show it.
    pub content: Vec<Content>,
}

impl ToolOutput {
    /// The structured item, if there is one.
    pub fn structured(&self) -> Option<&Value> {
        self.content.iter().find_map(|content| match content {
            Content::Structured(value) => Some(value),
            _ => None,
        })
    }

    /// As [`Self::structured`], for who takes it out and puts it back.
    pub fn structured_mut(&mut self) -> Option<&mut Value> {
        self.content.iter_mut().find_map(|content| match content {
            Content::Structured(value) => Some(value),
            _ => None,
        })
    }
}

/// One piece of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// Plain text.
    Text(String),
    /// A JSON object that satisfies the tool's output schema.
    Structured(Value),
    /// A picture.
    Image {
        /// The raw bytes.
        data: Vec<u8>,
        /// The media type.
        mime_type: String,
    },
    /// A sound.
    Audio {
        /// The raw bytes.
        data: Vec<u8>,
        /// The media type.
        mime_type: String,
    },
    /// A resource, whole.
    Resource {
        /// An absolute URI.
        uri: String,
        /// The media type.
        mime_type: Option<String>,
        /// What it holds.
        contents: ResourceContents,
    },
    /// Something the client may fetch by itself.
    ResourceLink {
        /// An absolute URI.
        uri: String,
        /// A short name.
        name: String,
        /// What it is.
        description: Option<String>,
        /// The media type.
        mime_type: Option<String>,
    },
}

/// What a resource holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResourceContents {
    /// Text.
    Text(String),
    /// Raw bytes.
    Blob(Vec<u8>),
}

/// Why a guest's answer is not one.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum InvalidOutput {
    #[error("its answer has {size} bytes; the limit is {limit}")]
    TooLarge { size: u64, limit: u64 },
    #[error("its structured content is not a JSON object")]
    NotObject,
    #[error("its answer holds {0} structured items; at most one is allowed")]
    Structured(usize),
}

impl ToolOutput {
    /// Checks what `call` gave. The size counts all texts and bytes, as they are, not as a front encodes them.
    pub(crate) fn from_guest(output: wit::ToolOutput, limit: u64) -> Result<Self, InvalidOutput> {
        let size = size_of(&output) as u64;
        if size > limit {
            return Err(InvalidOutput::TooLarge { size, limit });
        }
        let content = output
            .content
            .into_iter()
            .map(Content::from_guest)
            .collect::<Result<Vec<_>, _>>()?;
        match content
            .iter()
            .filter(|content| matches!(content, Content::Structured(_)))
            .count()
        {
            0 | 1 => Ok(Self { content }),
            count => Err(InvalidOutput::Structured(count)),
        }
    }
}

/// The bytes of all texts and data of an answer.
pub(crate) fn size_of(output: &wit::ToolOutput) -> usize {
    output.content.iter().map(size_of_content).sum()
}

fn size_of_content(content: &wit::Content) -> usize {
    let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    match content {
        wit::Content::Text(text) | wit::Content::Structured(text) => text.len(),
        wit::Content::Image(media) | wit::Content::Audio(media) => {
            media.data.len() + media.mime_type.len()
        }
        wit::Content::ResourceLink(link) => {
            link.uri.len() + link.name.len() + text(&link.description) + text(&link.mime_type)
        }
        wit::Content::EmbeddedResource(resource) => {
            let held = match &resource.contents {
                wit::ResourceContents::Text(text) => text.len(),
                wit::ResourceContents::Blob(bytes) => bytes.len(),
            };
            resource.uri.len() + text(&resource.mime_type) + held
        }
    }
}

impl Content {
    fn from_guest(content: wit::Content) -> Result<Self, InvalidOutput> {
        Ok(match content {
            wit::Content::Text(text) => Content::Text(text),
            wit::Content::Structured(text) => match serde_json::from_str(&text) {
                Ok(value @ Value::Object(_)) => Content::Structured(value),
                _ => return Err(InvalidOutput::NotObject),
            },
            wit::Content::Image(media) => Content::Image {
                data: media.data,
                mime_type: media.mime_type,
            },
            wit::Content::Audio(media) => Content::Audio {
                data: media.data,
                mime_type: media.mime_type,
            },
            wit::Content::ResourceLink(link) => Content::ResourceLink {
                uri: link.uri,
                name: link.name,
                description: link.description,
                mime_type: link.mime_type,
            },
            wit::Content::EmbeddedResource(resource) => Content::Resource {
                uri: resource.uri,
                mime_type: resource.mime_type,
                contents: match resource.contents {
                    wit::ResourceContents::Text(text) => ResourceContents::Text(text),
                    wit::ResourceContents::Blob(bytes) => ResourceContents::Blob(bytes),
                },
            },
        })
    }
}

/// The answer of a tool that says itself that it failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ToolError {
    /// The arguments make no sense to the tool.
    #[error("{0}")]
    InvalidArguments(String),
    /// The provider refused the credential.
    #[error("`{0}` refused the account; connect it anew")]
    Unauthorised(String),
    /// The provider asks for patience; in seconds, where it said how long.
    #[error("the service asks to wait{}", .0.map(|seconds| format!(" {seconds} s")).unwrap_or_default())]
    RateLimited(Option<u32>),
    /// A service does not answer.
    #[error("{0}")]
    Unavailable(String),
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

impl ToolError {
    /// The error in a word that stays as it is, for what is counted.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::InvalidArguments(_) => "invalid_arguments",
            Self::Unauthorised(_) => "account_refused",
            Self::RateLimited(_) => "provider_rate_limited",
            Self::Unavailable(_) => "unavailable",
            Self::Failed(_) => "tool_failed",
        }
    }
}

impl From<wit::ToolError> for ToolError {
    fn from(error: wit::ToolError) -> Self {
        match error {
            wit::ToolError::InvalidArguments(text) => ToolError::InvalidArguments(text),
            wit::ToolError::Unauthorised(provider) => ToolError::Unauthorised(provider),
            wit::ToolError::RateLimited(after) => ToolError::RateLimited(after),
            wit::ToolError::Unavailable(text) => ToolError::Unavailable(text),
            wit::ToolError::Failed(text) => ToolError::Failed(text),
        }
    }
}

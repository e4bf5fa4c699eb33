//! From the text of a case to a component.

use std::fmt::Write;

/// A component that does no harm, field by field.
const SCAFFOLD: &str = include_str!("scaffold.wat");

/// Where the fields go that the scaffold does not have.
const OWN: &str = ";; The case's own";

/// The address of `$tools` in the scaffold.
const TOOLS: usize = 0x10_0000;

/// The scaffold with these fields in place of its own.
pub(super) fn guest(fields: &str) -> Vec<u8> {
    assembled(&with_fields(fields))
}

/// What the text says, as a binary.
pub(super) fn assembled(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"))
}

/// The text of [`guest`].
pub(super) fn with_fields(fields: &str) -> String {
    let mut own: Vec<_> = blocks(fields).collect();
    let mut text = String::new();
    for block in blocks(SCAFFOLD) {
        let replacing = own.iter().position(|field| head(field) == head(block));
        let block = replacing.map_or(block, |at| own.remove(at));
        text += if block == OWN { OWN } else { block };
        text += "\n\n";
    }
    text.replace(OWN, &own.join("\n"))
}

/// What stands between blank lines.
fn blocks(text: &str) -> impl Iterator<Item = &str> {
    text.split("\n\n")
        .map(str::trim)
        .filter(|block| !block.is_empty())
}

/// The kind and the name of a field.
fn head(block: &str) -> Option<(&str, &str)> {
    let code = block.lines().find(|line| !line.starts_with(";;"))?;
    let mut words = code.split_whitespace();
    Some((words.next()?, words.next()?))
}

/// A tool as a guest lists it, whether it may be listed or not.
#[derive(Clone, Copy)]
pub(super) struct Tool<'a> {
    pub(super) name: &'a [u8],
    pub(super) description: &'a [u8],
    pub(super) input_schema: &'a [u8],
    pub(super) output_schema: Option<&'a [u8]>,
    pub(super) provider: Option<&'a [u8]>,
}

impl<'a> Tool<'a> {
    /// One that is as it has to be.
    pub(super) fn called(name: &'a str) -> Self {
        Self {
            name: name.as_bytes(),
            description: b"Does what no tool should.",
            input_schema: br#"{"type":"object"}"#,
            output_schema: None,
            provider: None,
        }
    }
}

/// The field that lists these tools.
pub(super) fn listing(tools: &[Tool]) -> String {
    let mut memory = Memory { bytes: Vec::new() };
    // The list's own address and length come first, then its items, then what they point to.
    let items = memory.reserve(8 + tools.len() * ITEM) + 8;
    memory.put(0, &[items, tools.len()]);
    for (index, tool) in tools.iter().enumerate() {
        let at = 8 + index * ITEM;
        memory.put_text(at, tool.name);
        memory.put_text(at + 20, tool.description);
        memory.put_text(at + 28, tool.input_schema);
        if let Some(schema) = tool.output_schema {
            memory.put(at + 36, &[1]);
            memory.put_text(at + 40, schema);
        }
        if let Some(provider) = tool.provider {
            let requirement = memory.reserve(16);
            memory.put(at + 48, &[requirement, 1]);
            memory.put_text(requirement - TOOLS, provider);
        }
    }
    format!(
        "(data $tools (i32.const {TOOLS}) \"{}\")",
        escaped(&memory.bytes)
    )
}

/// Bytes in a text of the guest.
pub(super) fn escaped(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "\\{byte:02x}").expect("a string takes all");
        text
    })
}

/// The size of a `tool-definition` in the canonical ABI.
const ITEM: usize = 64;

/// The guest's memory from [`TOOLS`] on.
struct Memory {
    bytes: Vec<u8>,
}

impl Memory {
    /// The address of so many new bytes, aligned for words.
    fn reserve(&mut self, size: usize) -> usize {
        let at = self.bytes.len().next_multiple_of(4);
        self.bytes.resize(at + size, 0);
        TOOLS + at
    }

    /// Writes words, from the offset `at` on.
    fn put(&mut self, at: usize, words: &[usize]) {
        for (index, &word) in words.iter().enumerate() {
            let word = u32::try_from(word).expect("the guest has 32 bits");
            self.bytes[at + index * 4..][..4].copy_from_slice(&word.to_le_bytes());
        }
    }

    /// Writes address and length of a text, and the text at the end.
    fn put_text(&mut self, at: usize, text: &[u8]) {
        let address = self.reserve(text.len());
        self.bytes[address - TOOLS..].copy_from_slice(text);
        self.put(at, &[address, text.len()]);
    }
}

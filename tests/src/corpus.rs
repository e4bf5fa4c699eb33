//! The adversarial corpus: hostile components, each with what it tries and what must come of it.
//!
//! They are made from text when they are needed: [`cases`] gives all of them. An [`Arena`] is a host that serves them
//! beside a well-behaved neighbour. The test `corpus` asserts what must come of each; the bench `corpus` measures the
//! neighbour meanwhile.

mod answers;
mod arena;
mod case;
mod computing;
mod files;
mod guest;
mod imports;
mod listing;
mod memory;
mod neighbour;

pub use arena::{API_TIME, Arena};
pub use case::{Case, Happened, Must};
pub use neighbour::{Neighbour, Seen, Work};

/// A component that does no harm, and says this of its one tool.
pub fn component_that_lists(
    name: &[u8],
    description: &[u8],
    input_schema: &[u8],
    output_schema: Option<&[u8]>,
    provider: Option<&[u8]>,
) -> Vec<u8> {
    let tool = guest::Tool {
        name,
        description,
        input_schema,
        output_schema,
        provider,
    };
    guest::guest(&guest::listing(&[tool]))
}

/// A component that does no harm, and whose tool `say` is described by this word and says it.
pub fn component_that_says(word: [u8; 4]) -> Vec<u8> {
    let tool = guest::Tool {
        description: &word,
        ..guest::Tool::called("say")
    };
    let listing = guest::listing(&[tool]);
    let word = guest::escaped(&word);
    guest::guest(&format!(
        "{listing}\n\n(data $text (i32.const 0x1040) \"{word}\")"
    ))
}

/// A component whose tool `say` says `warm` in an instance that has listed its tools before, and `cold` in another.
pub fn component_that_warms_up() -> Vec<u8> {
    let listing = guest::listing(&[guest::Tool::called("say")]);
    guest::guest(&format!(
        "{listing}

         (data $text (i32.const 0x1040) \"cold\")

         (func $list_tools (type $lists)
           (memory.init $warm (i32.const 0x1040) (i32.const 0) (i32.const 4))
           (global.get $tools))

         (data $warm \"warm\")"
    ))
}

/// All of them.
pub fn cases() -> Vec<Case> {
    [
        files::cases(),
        listing::cases(),
        computing::cases(),
        memory::cases(),
        answers::cases(),
        imports::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

//! Counts what a text is made of. Needs no account and no network: a tool can be this small.

#![forbid(unsafe_code)]

use std::cmp::Reverse;
use std::collections::HashMap;

use holster_sdk::tool;
use schemars::JsonSchema;
use serde::Serialize;

#[derive(Debug, PartialEq, Serialize, JsonSchema)]
struct Statistics {
    /// Characters, with spaces and line ends.
    characters: usize,
    /// Words: runs of letters, digits and apostrophes.
    words: usize,
    /// Lines, whether or not the last one ends.
    lines: usize,
    /// Sentences, by their full stops, question marks and exclamation marks.
    sentences: usize,
    /// The most frequent words, in lower case; those of equal count in the order of the alphabet.
    most_frequent: Vec<Frequency>,
}

#[derive(Debug, PartialEq, Serialize, JsonSchema)]
struct Frequency {
    /// The word.
    word: String,
    /// How often it occurs.
    count: usize,
}

/// Counts the characters, words, lines and sentences of a text, and finds its most frequent words.
#[tool(title = "Text statistics", read_only, idempotent, open_world = false)]
fn text_statistics(
    /// The text.
    text: String,
    /// How many of the most frequent words to name.
    #[param(default = 5, range = 0..=100)]
    top: usize,
) -> Statistics {
    let words: Vec<String> = words(&text).collect();
    Statistics {
        characters: text.chars().count(),
        words: words.len(),
        lines: text.lines().count(),
        sentences: sentences(&text),
        most_frequent: most_frequent(words, top),
    }
}

holster_sdk::export!(text_statistics);

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|character: char| !character.is_alphanumeric() && !matches!(character, '\'' | '’'))
        .filter(|word| word.contains(char::is_alphanumeric))
        .map(str::to_lowercase)
}

/// A sentence ends where a mark is followed by a space or by nothing, so that `3.14` ends none.
fn sentences(text: &str) -> usize {
    let is_end = |character| matches!(character, '.' | '!' | '?' | '…');
    let ended = text
        .split_whitespace()
        .filter(|word| word.ends_with(is_end))
        .count();
    let is_open = text
        .trim_end()
        .chars()
        .next_back()
        .is_some_and(|last| !is_end(last));
    ended + usize::from(is_open)
}

fn most_frequent(words: Vec<String>, top: usize) -> Vec<Frequency> {
    let mut counts = HashMap::new();
    for word in words {
        *counts.entry(word).or_default() += 1;
    }
    let mut frequencies: Vec<_> = counts
        .into_iter()
        .map(|(word, count)| Frequency { word, count })
        .collect();
    frequencies.sort_by(|left, right| {
        (Reverse(left.count), &left.word).cmp(&(Reverse(right.count), &right.word))
    });
    frequencies.truncate(top);
    frequencies
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_counted() {
        let statistics = text_statistics(
            "To be, or not to be.\nThat's π: 3.14 — the question?\nYes".into(),
            2,
        );
        assert_eq!(
            statistics,
            Statistics {
                characters: 55,
                words: 13,
                lines: 3,
                sentences: 3,
                most_frequent: vec![
                    Frequency {
                        word: "be".into(),
                        count: 2
                    },
                    Frequency {
                        word: "to".into(),
                        count: 2
                    },
                ],
            }
        );
    }

    #[test]
    fn an_empty_text_has_nothing() {
        let statistics = text_statistics(String::new(), 5);
        assert_eq!(
            (
                statistics.characters,
                statistics.words,
                statistics.lines,
                statistics.sentences
            ),
            (0, 0, 0, 0)
        );
        assert_eq!(statistics.most_frequent, []);
    }
}

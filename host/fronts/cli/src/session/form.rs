//! A form, filled in line by line.

use std::io::{self, BufRead, Write};

use holster_core::{Answer, Choice, Kind, Property, Question};
use serde_json::{Map, Number, Value};

use crate::print;

/// Asks one question after the other. Whoever closes the input makes no choice.
pub(super) fn fill(
    question: &Question,
    input: &mut impl BufRead,
    output: &mut impl Write,
) -> io::Result<Answer> {
    writeln!(
        output,
        "The tool asks: {}",
        print::harmless(&question.message)
    )?;
    write!(output, "Answer? [Y/n] ")?;
    match line(input, output)?.as_deref() {
        None => return Ok(Answer::Cancel),
        Some("" | "y" | "Y" | "yes") => {}
        Some(_) => return Ok(Answer::Decline),
    }
    loop {
        let mut answers = Map::new();
        for (name, property) in &question.form.properties {
            let required = question.form.required.contains(name);
            match one(name, property, required, input, output)? {
                Given::Value(value) => {
                    answers.insert(name.clone(), value);
                }
                Given::Nothing => {}
                Given::Closed => return Ok(Answer::Cancel),
            }
        }
        let answers = Value::Object(answers);
        match question.form.violation(&answers) {
            None => return Ok(Answer::Accept(answers)),
            Some(why) => writeln!(
                output,
                "That does not fit: {}. Once more:",
                print::harmless(&why)
            )?,
        }
    }
}

enum Given {
    Value(Value),
    Nothing,
    Closed,
}

fn one(
    name: &str,
    property: &Property,
    required: bool,
    input: &mut impl BufRead,
    output: &mut impl Write,
) -> io::Result<Given> {
    let choices = property.choices();
    loop {
        write!(
            output,
            "{}",
            prompt(name, property, choices.as_deref(), required)
        )?;
        let Some(text) = line(input, output)? else {
            return Ok(Given::Closed);
        };
        if text.is_empty() {
            match (&property.default, required) {
                (Some(default), _) => return Ok(Given::Value(default.clone())),
                (None, false) => return Ok(Given::Nothing),
                // A text may be empty.
                (None, true) if property.kind != Kind::String || choices.is_some() => continue,
                (None, true) => {}
            }
        }
        match value(property.kind, choices.as_deref(), &text) {
            Some(value) => return Ok(Given::Value(value)),
            None => writeln!(output, "  that is none of what can be answered")?,
        }
    }
}

fn prompt(name: &str, property: &Property, choices: Option<&[Choice]>, required: bool) -> String {
    let title = print::harmless(property.title.as_deref().unwrap_or(name));
    let mut text = format!("  {title}");
    if let Some(description) = &property.description {
        text = format!("{text}: {}", print::harmless(description));
    }
    if let Some(choices) = choices {
        for (position, choice) in choices.iter().enumerate() {
            text = format!(
                "{text}\n    {} {}",
                position + 1,
                print::harmless(&choice.title)
            );
        }
        text.push_str("\n  ");
    }
    let mut hints = Vec::new();
    match property.kind {
        Kind::Boolean => hints.push("y/n".to_owned()),
        Kind::Array => hints.push("several, with commas".to_owned()),
        _ => {}
    }
    match &property.default {
        Some(default) => hints.push(format!("else {}", print::harmless(&default.to_string()))),
        None if !required => hints.push("may be left out".to_owned()),
        None => {}
    }
    if !hints.is_empty() {
        text = format!("{text} ({})", hints.join("; "));
    }
    format!("{text}> ")
}

/// What a line means; `None` where it means nothing.
fn value(kind: Kind, choices: Option<&[Choice]>, text: &str) -> Option<Value> {
    let chosen = |text: &str| {
        let choices = choices?;
        let by_number = text
            .parse::<usize>()
            .ok()
            .and_then(|number| choices.get(number.checked_sub(1)?));
        let by_name = choices
            .iter()
            .find(|choice| choice.value == text || choice.title == text);
        by_name
            .or(by_number)
            .map(|choice| Value::from(choice.value.clone()))
    };
    match kind {
        Kind::Array => text.split(',').map(|part| chosen(part.trim())).collect(),
        Kind::String if choices.is_some() => chosen(text),
        Kind::String => Some(text.into()),
        Kind::Integer => text.parse::<i64>().ok().map(Value::from),
        Kind::Number => Number::from_f64(text.parse().ok()?).map(Value::from),
        Kind::Boolean => match text.to_lowercase().as_str() {
            "y" | "yes" | "true" => Some(true.into()),
            "n" | "no" | "false" => Some(false.into()),
            _ => None,
        },
    }
}

/// The next line without its end; `None` where the input is closed.
fn line(input: &mut impl BufRead, output: &mut impl Write) -> io::Result<Option<String>> {
    output.flush()?;
    let mut text = String::new();
    let read = input.read_line(&mut text)?;
    Ok((read > 0).then(|| text.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn filled(lines: &str) -> (Answer, String) {
        let schema = json!({
            "type": "object",
            "properties": {
                "days": { "type": "array", "items": { "type": "string", "enum": ["sat", "sun"] } },
                "guests": { "type": "integer", "default": 2 },
                "meal": { "type": "string", "oneOf": [{ "const": "f", "title": "Fish" }, { "const": "g", "title": "Greens" }] },
                "name": { "type": "string", "minLength": 1 },
                "sure": { "type": "boolean" },
            },
            "required": ["name"],
        })
        .to_string();
        let question = Question::read("Who comes?\x1b[2J", &schema).unwrap();
        let mut output = Vec::new();
        let answer = fill(&question, &mut lines.as_bytes(), &mut output).unwrap();
        (answer, String::from_utf8(output).unwrap())
    }

    #[test]
    fn a_form_is_filled_in_line_by_line() {
        for (lines, expected) in [
            (
                "y\nsat, 2\n3\nGreens\nAnn\nn\n",
                json!({ "days": ["sat", "sun"], "guests": 3, "meal": "g", "name": "Ann", "sure": false }),
            ),
            ("\n\n\n\nAnn\n\n", json!({ "guests": 2, "name": "Ann" })),
            (
                "\n\nmany\n4\n7\n1\nAnn\nperhaps\ny\n",
                json!({ "guests": 4, "meal": "f", "name": "Ann", "sure": true }),
            ),
            (
                "\n\n\n\n\n\n\n\n\nAnn\n\n",
                json!({ "guests": 2, "name": "Ann" }),
            ),
        ] {
            let (answer, said) = filled(lines);
            assert_eq!(answer, Answer::Accept(expected), "{lines:?}: {said}");
            assert!(!said.contains('\x1b'), "{said:?}");
        }
    }

    #[test]
    fn a_person_may_decline_or_leave() {
        assert_eq!(filled("n\n").0, Answer::Decline);
        assert_eq!(filled("").0, Answer::Cancel);
        assert_eq!(filled("y\nsat\n").0, Answer::Cancel);
    }
}

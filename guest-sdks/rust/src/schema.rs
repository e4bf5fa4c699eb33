//! JSON Schemas in the one form that all languages write.
//!
//! A schema of `schemars` tells the same in more ways than one. Here it becomes canonical: nested types inlined, no
//! `$schema`, no `title`, no `format` and no implied bounds of numbers, a list of names as `enum`, what is optional
//! left out of `required` instead of `null`, and no members beyond those that are listed.

use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::{JsonSchema, Schema, json_schema};
use serde::Serialize;
use serde_json::{Map, Value};

/// The schema of a tool's arguments, while it is being written.
pub struct InputSchema {
    generator: SchemaGenerator,
    properties: Map<String, Value>,
    required: Vec<Value>,
}

/// One parameter: how to get its schema, and what the author said about it.
pub struct Parameter {
    name: &'static str,
    required: bool,
    schema: fn(&mut SchemaGenerator) -> Schema,
    keywords: Vec<Keyword>,
}

enum Keyword {
    Description(&'static str),
    Default(Value),
    Minimum(Value),
    Maximum(Value),
    MinLength(u32),
    MaxLength(u32),
}

impl InputSchema {
    /// No parameters so far.
    #[allow(clippy::new_without_default, reason = "written by the macro only")]
    pub fn new() -> Self {
        Self {
            generator: generator(SchemaSettings::for_deserialize),
            properties: Map::new(),
            required: Vec::new(),
        }
    }

    /// Adds a parameter.
    #[must_use]
    pub fn parameter(mut self, parameter: Parameter) -> Self {
        let mut schema = (parameter.schema)(&mut self.generator);
        canonicalise(&mut schema);
        // A type may hide its `Option` behind a name of its own.
        let required = !remove_null(&mut schema) && parameter.required;
        for keyword in parameter.keywords {
            keyword.write(&mut schema);
        }
        self.properties
            .insert(parameter.name.to_owned(), schema.to_value());
        if required {
            self.required.push(parameter.name.into());
        }
        self
    }

    /// The schema, as text.
    pub fn finish(mut self) -> String {
        let mut schema = json_schema!({
            "type": "object",
            "properties": self.properties,
            "additionalProperties": false,
        });
        if !self.required.is_empty() {
            schema.insert("required".to_owned(), self.required.into());
        }
        add_definitions(&mut schema, &mut self.generator);
        schema.to_value().to_string()
    }
}

impl Parameter {
    /// A parameter that has to be given.
    pub fn required<T: JsonSchema>(name: &'static str) -> Self {
        Self {
            name,
            required: true,
            schema: of::<T>,
            keywords: Vec::new(),
        }
    }

    /// A parameter that may be left out.
    pub fn optional<T: JsonSchema>(name: &'static str) -> Self {
        Self {
            name,
            required: false,
            schema: of::<T>,
            keywords: Vec::new(),
        }
    }

    /// A parameter that has a value if it is left out.
    ///
    /// # Panics
    /// If the value cannot be written as JSON.
    pub fn with_default<T: JsonSchema + Serialize>(name: &'static str, default: &T) -> Self {
        let value = serde_json::to_value(default).unwrap_or_else(|error| {
            panic!("the default of `{name}` cannot be written as JSON: {error}")
        });
        Self {
            name,
            required: false,
            schema: of::<T>,
            keywords: vec![Keyword::Default(value)],
        }
    }

    /// What the parameter means.
    #[must_use]
    pub fn description(self, text: &'static str) -> Self {
        self.with(Keyword::Description(text))
    }

    /// The smallest number allowed.
    #[must_use]
    pub fn minimum(self, bound: impl Into<Value>) -> Self {
        self.with(Keyword::Minimum(bound.into()))
    }

    /// The largest number allowed.
    #[must_use]
    pub fn maximum(self, bound: impl Into<Value>) -> Self {
        self.with(Keyword::Maximum(bound.into()))
    }

    /// The least number of characters of a text, or of items of a list.
    #[must_use]
    pub fn min_length(self, bound: u32) -> Self {
        self.with(Keyword::MinLength(bound))
    }

    /// The largest number of characters of a text, or of items of a list.
    #[must_use]
    pub fn max_length(self, bound: u32) -> Self {
        self.with(Keyword::MaxLength(bound))
    }

    fn with(mut self, keyword: Keyword) -> Self {
        self.keywords.push(keyword);
        self
    }
}

impl Keyword {
    fn write(self, schema: &mut Schema) {
        let is_list = schema.get("type").and_then(Value::as_str) == Some("array");
        let (key, value) = match self {
            Self::Description(text) => ("description", text.into()),
            Self::Default(value) => ("default", value),
            Self::Minimum(bound) => ("minimum", bound),
            Self::Maximum(bound) => ("maximum", bound),
            Self::MinLength(bound) => {
                (if is_list { "minItems" } else { "minLength" }, bound.into())
            }
            Self::MaxLength(bound) => {
                (if is_list { "maxItems" } else { "maxLength" }, bound.into())
            }
        };
        schema.insert(key.to_owned(), value);
    }
}

/// The schema of what a tool returns. What its type says about itself speaks to programmers and is left out.
pub(crate) fn of_output<T: JsonSchema>() -> Schema {
    let mut generator = generator(SchemaSettings::for_serialize);
    let mut schema = of::<T>(&mut generator);
    canonicalise(&mut schema);
    schema.remove("description");
    add_definitions(&mut schema, &mut generator);
    schema
}

/// The schema of what a person is asked, as text.
pub(crate) fn of_form<T: JsonSchema>() -> String {
    let mut generator = generator(SchemaSettings::for_deserialize);
    let mut schema = of::<T>(&mut generator);
    canonicalise(&mut schema);
    add_definitions(&mut schema, &mut generator);
    schema.to_value().to_string()
}

/// The schema of `{"result": …}`.
pub(crate) fn wrapped(mut inner: Schema) -> Schema {
    let definitions = inner.remove("$defs");
    let required = !remove_null(&mut inner);
    let mut schema = json_schema!({
        "type": "object",
        "properties": { "result": inner },
        "additionalProperties": false,
    });
    if required {
        schema.insert("required".to_owned(), vec!["result"].into());
    }
    if let Some(definitions) = definitions {
        schema.insert("$defs".to_owned(), definitions);
    }
    schema
}

/// Whether the values that satisfy a schema are objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// All of them.
    Object,
    /// None of them.
    Other,
    /// Some, or nobody knows.
    Mixed,
}

/// The shape of a canonical schema.
pub(crate) fn shape(schema: &Schema) -> Shape {
    match schema.get("type") {
        Some(Value::String(name)) if name == "object" => return Shape::Object,
        Some(Value::String(_)) => return Shape::Other,
        Some(Value::Array(names)) if !names.iter().any(|name| name == "object") => {
            return Shape::Other;
        }
        Some(_) => return Shape::Mixed,
        None => {}
    }
    let cases = ["oneOf", "anyOf"]
        .into_iter()
        .find_map(|key| schema.get(key)?.as_array());
    let mut shapes = cases
        .into_iter()
        .flatten()
        .map(|case| match <&Schema>::try_from(case) {
            Ok(case) => shape(case),
            Err(_) => Shape::Mixed,
        });
    match shapes.next() {
        Some(first) if shapes.all(|other| other == first) => first,
        _ => Shape::Mixed,
    }
}

fn generator(contract: fn(SchemaSettings) -> SchemaSettings) -> SchemaGenerator {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    contract(settings).into_generator()
}

fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// A type that contains itself cannot be inlined; only such a one needs definitions.
fn add_definitions(schema: &mut Schema, generator: &mut SchemaGenerator) {
    let mut definitions = generator.take_definitions(true);
    if definitions.is_empty() {
        return;
    }
    for definition in definitions.values_mut() {
        if let Ok(definition) = definition.try_into() {
            canonicalise(definition);
        }
    }
    schema.insert("$defs".to_owned(), definitions.into());
}

fn canonicalise(schema: &mut Schema) {
    canonicalise_part(schema, true);
}

/// `whole`: whether the schema says everything about its object, so that the object has no other members.
fn canonicalise_part(schema: &mut Schema, whole: bool) {
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    // Members beside cases, and every one of `allOf`, say a part each.
    let cases_are_whole = whole && !object.contains_key("properties");
    for (keyword, value) in object.iter_mut() {
        match keyword.as_str() {
            "oneOf" | "anyOf" => each(value, |case| canonicalise_part(case, cases_are_whole)),
            "allOf" => each(value, |part| canonicalise_part(part, false)),
            "properties" | "patternProperties" | "prefixItems" | "$defs" => {
                each(value, canonicalise);
            }
            "items" | "additionalProperties" => only(value, canonicalise),
            _ => {}
        }
    }
    schema.remove("$schema");
    schema.remove("title");
    simplify_number(schema);
    collapse_names(schema);
    make_nullable_members_optional(schema);
    if whole {
        close(schema);
    }
}

fn each(schemas: &mut Value, mut change: impl FnMut(&mut Schema)) {
    match schemas {
        Value::Array(schemas) => schemas
            .iter_mut()
            .for_each(|schema| only(schema, &mut change)),
        Value::Object(schemas) => schemas
            .values_mut()
            .for_each(|schema| only(schema, &mut change)),
        _ => {}
    }
}

fn only(schema: &mut Value, change: impl FnOnce(&mut Schema)) {
    if let Ok(schema) = schema.try_into() {
        change(schema);
    }
}

/// Numbers have no width in JSON: what remains of a Rust type is whether it has a sign and a fraction.
fn simplify_number(schema: &mut Schema) {
    let Some(format) = schema.get("format").and_then(Value::as_str) else {
        return;
    };
    let (minimum, maximum) = match format {
        "int8" => (Some(i64::from(i8::MIN)), Some(i64::from(i8::MAX))),
        "int16" => (Some(i64::from(i16::MIN)), Some(i64::from(i16::MAX))),
        "uint8" => (None, Some(i64::from(u8::MAX))),
        "uint16" => (None, Some(i64::from(u16::MAX))),
        "int" | "int32" | "int64" | "int128" | "uint" | "uint32" | "uint64" | "uint128"
        | "float" | "double" => (None, None),
        _ => return,
    };
    schema.remove("format");
    for (keyword, implied) in [("minimum", minimum), ("maximum", maximum)] {
        if implied.is_some() && schema.get(keyword).and_then(Value::as_i64) == implied {
            schema.remove(keyword);
        }
    }
}

/// `schemars` writes an enum whose names have doc comments as `oneOf`, and one with a single name as `const`.
fn collapse_names(schema: &mut Schema) {
    let names = match schema.get("oneOf").and_then(Value::as_array) {
        Some(cases) => cases
            .iter()
            .map(names_of)
            .collect::<Option<Vec<_>>>()
            .map(|names| names.concat()),
        None => schema
            .get("const")
            .is_some()
            .then(|| names_of(schema.as_value()))
            .flatten(),
    };
    if let Some(names) = names {
        schema.remove("oneOf");
        schema.remove("const");
        schema.insert("type".to_owned(), "string".into());
        schema.insert("enum".to_owned(), names.into());
    }
}

fn names_of(case: &Value) -> Option<Vec<Value>> {
    if case.get("type")? != "string" {
        return None;
    }
    match (case.get("const"), case.get("enum")) {
        (Some(name), None) => Some(vec![name.clone()]),
        (None, Some(names)) => names.as_array().cloned(),
        _ => None,
    }
}

fn make_nullable_members_optional(schema: &mut Schema) {
    let Some(Value::Object(members)) = schema.get_mut("properties") else {
        return;
    };
    let mut optional = Vec::new();
    for (name, member) in members {
        only(member, |member| {
            if remove_null(member) {
                optional.push(name.clone());
            }
        });
    }
    if let Some(Value::Array(required)) = schema.get_mut("required") {
        required.retain(|name| {
            name.as_str()
                .is_none_or(|name| !optional.iter().any(|optional| optional == name))
        });
        if required.is_empty() {
            schema.remove("required");
        }
    }
}

/// Takes `null` from the allowed values, if it is one of several.
fn remove_null(schema: &mut Schema) -> bool {
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        let before = types.len();
        types.retain(|name| name != "null");
        let removed = types.len() < before;
        if let [only] = types.as_slice() {
            let only = only.clone();
            schema.insert("type".to_owned(), only);
        }
        if let (true, Some(Value::Array(values))) = (removed, schema.get_mut("enum")) {
            values.retain(|value| !value.is_null());
        }
        return removed;
    }
    let Some(Value::Array(cases)) = schema.get_mut("anyOf") else {
        return false;
    };
    let before = cases.len();
    cases.retain(|case| case.get("type").is_none_or(|name| name != "null"));
    let removed = cases.len() < before;
    if let [Value::Object(only)] = cases.as_slice() {
        let only = only.clone();
        schema.remove("anyOf");
        for (keyword, value) in only {
            // What is said about the member counts more than what its type says about itself.
            schema.ensure_object().entry(keyword).or_insert(value);
        }
    }
    removed
}

/// Refuses members that the schema does not list, unless it says something about them already.
fn close(schema: &mut Schema) {
    let says_more = [
        "additionalProperties",
        "unevaluatedProperties",
        "patternProperties",
        "oneOf",
        "anyOf",
        "allOf",
    ];
    if schema.get("properties").is_some()
        && !says_more
            .into_iter()
            .any(|keyword| schema.get(keyword).is_some())
    {
        schema.insert("additionalProperties".to_owned(), false.into());
    }
}

#[cfg(test)]
mod tests;

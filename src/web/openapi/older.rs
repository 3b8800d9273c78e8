//! The description in the words of OpenAPI 3.0.
//!
//! 3.0 has no type `null` and no lists of types: `nullable` says so. It has one example for a schema, no words
//! beside a reference, and no SPDX expression for a license. Lines of JSON are bytes: generators that know 3.0 alone
//! (progenitor) know no media type for them, and make no client at all.

use serde_json::{Map, Value, json};

const VERSION: &str = "3.0.3";

/// Rewrites a document of OpenAPI 3.1.
pub(super) fn without_3_1(mut document: Value) -> Value {
    document["openapi"] = json!(VERSION);
    if let Some(license) = document["info"]["license"].as_object_mut() {
        license.remove("identifier");
    }
    rewrite(&mut document);
    document
}

/// Rewrites every schema in the value, the innermost first.
fn rewrite(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(rewrite),
        Value::Object(object) => {
            object.values_mut().for_each(rewrite);
            if object.contains_key("$ref") {
                object.retain(|name, _| name == "$ref");
            } else {
                in_one_type(object);
                without_null(object);
                with_one_example(object);
                lines_as_bytes(object);
            }
        }
        _ => {}
    }
}

/// `"type": ["string", "null"]` is a nullable string.
fn in_one_type(schema: &mut Map<String, Value>) {
    let Some(Value::Array(types)) = schema.get_mut("type") else {
        return;
    };
    types.retain(|one| one != "null");
    if let [one] = types.as_slice() {
        let one = one.clone();
        schema.insert("type".to_owned(), one);
        schema.insert("nullable".to_owned(), json!(true));
    }
}

/// One of a reference and `null` is a nullable reference.
fn without_null(schema: &mut Map<String, Value>) {
    let Some(Value::Array(choices)) = schema.get_mut("oneOf") else {
        return;
    };
    let all = choices.len();
    choices.retain(|choice| choice.get("type") != Some(&json!("null")));
    if choices.len() < all
        && let Some(choices) = schema.remove("oneOf")
    {
        schema.insert("allOf".to_owned(), choices);
        schema.insert("nullable".to_owned(), json!(true));
    }
}

fn with_one_example(schema: &mut Map<String, Value>) {
    // A schema has a list of examples; those of an answer are an object.
    if let Some(Value::Array(examples)) = schema.get_mut("examples") {
        let first = examples.drain(..).next();
        schema.remove("examples");
        schema.extend(first.map(|first| ("example".to_owned(), first)));
    }
}

fn lines_as_bytes(contents: &mut Map<String, Value>) {
    if contents.remove("application/jsonl").is_some() {
        let bytes = json!({ "schema": { "type": "string", "format": "binary" } });
        contents.insert("application/octet-stream".to_owned(), bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_3_0_has_no_words_for_is_said_in_its_own() {
        let newer = json!({
            "openapi": "3.1.0",
            "info": { "license": { "name": "MIT", "identifier": "MIT" } },
            "paths": { "/lines": { "post": { "requestBody": { "content": {
                "application/jsonl": { "schema": { "type": "string" } },
            } } } } },
            "components": { "schemas": {
                "A": { "type": ["string", "null"], "format": "date-time", "examples": ["a", "b"] },
                "B": { "properties": {
                    "a": { "$ref": "#/components/schemas/A", "description": "words" },
                    "b": { "oneOf": [{ "$ref": "#/components/schemas/A" }, { "type": "null" }] },
                } },
            } },
        });
        let older = json!({
            "openapi": VERSION,
            "info": { "license": { "name": "MIT" } },
            "paths": { "/lines": { "post": { "requestBody": { "content": {
                "application/octet-stream": { "schema": { "type": "string", "format": "binary" } },
            } } } } },
            "components": { "schemas": {
                "A": { "type": "string", "nullable": true, "format": "date-time", "example": "a" },
                "B": { "properties": {
                    "a": { "$ref": "#/components/schemas/A" },
                    "b": { "allOf": [{ "$ref": "#/components/schemas/A" }], "nullable": true },
                } },
            } },
        });
        assert_eq!(without_3_1(newer), older);
    }
}

#!/bin/sh
# serde_json calls a document that is whole JSON a syntax error, if an array or a number stands where one of some words must.
#
# `Error::classify` tells text that is no JSON (`Category::Syntax`) from JSON that has not the wanted shape (`Category::Data`), and a server
# that answers by it says "this is no JSON" in one case and "this field is wrong" in the other. An enum without data is read from a
# string or from an object; anything else in its place is the syntax error "expected value", although the same text is read as a
# `serde_json::Value` without complaint, and the same mistake in a field that wants a string is an error of data.
#
# Software: serde_json 1.0.154, serde 1.0.228 (crates), Rust 1.95.
# Behaviour: of the same three documents, all of them JSON, a field with a string calls each an error of data, and a field with an enum
# calls each a syntax error. None of them names the field.
# Output seen:
#   {"reason":[1]}: as JSON true, as a string Data, as an enum Syntax (expected value at line 1 column 11)
#   {"reason":1}: as JSON true, as a string Data, as an enum Syntax (expected value at line 1 column 11)
#   {"reason":null}: as JSON true, as a string Data, as an enum Syntax (expected value at line 1 column 11)
#
# Usage: findings/serde-json-syntax.sh. Needs cargo. Exit status 0 as long as it is so.
set -eu

command -v cargo > /dev/null || { echo "cargo is missing" >&2; exit 2; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/src"
cat > "$dir/Cargo.toml" << 'TOML'
[package]
name = "shown"
version = "0.0.0"
edition = "2024"

[dependencies]
serde = { version = "=1.0.228", features = ["derive"] }
serde_json = "=1.0.154"

[workspace]
TOML
cat > "$dir/src/main.rs" << 'RUST'
use serde::Deserialize;
use serde_json::{Value, from_str};

#[derive(Deserialize)]
enum Reason {
    #[serde(rename = "left")]
    _Left,
}

#[derive(Deserialize)]
struct Words {
    #[serde(rename = "reason")]
    _reason: String,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(rename = "reason")]
    _reason: Reason,
}

fn main() {
    for text in [r#"{"reason":[1]}"#, r#"{"reason":1}"#, r#"{"reason":null}"#] {
        let is_json = from_str::<Value>(text).is_ok();
        let (Err(as_string), Err(as_enum)) = (from_str::<Words>(text), from_str::<Choice>(text)) else {
            panic!("it is taken");
        };
        let kinds = (as_string.classify(), as_enum.classify());
        println!("{text}: as JSON {is_json}, as a string {:?}, as an enum {:?} ({as_enum})", kinds.0, kinds.1);
    }
}
RUST
CARGO_TARGET_DIR=$dir/target cargo run --quiet --manifest-path "$dir/Cargo.toml" > "$dir/output"
cat "$dir/output"
sed -n 's/^#   \({.*\)/\1/p' "$0" > "$dir/seen"
cmp "$dir/seen" "$dir/output"

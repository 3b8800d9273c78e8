#!/bin/sh
# quick_cache: a value that is replaced is reported as evicted, although its key is still there.
#
# `Lifecycle::on_evict` is called "when an item is evicted". It is also called for the old value when a key is inserted again, in a cache
# with room for a thousand more. `before_evict` is not called then, and says so; `on_evict` says nothing. Whoever keeps an index beside
# the cache, and removes from it what `on_evict` reports, loses the entry of a key that is still in the cache.
#
# Software: quick_cache 0.7.0, Rust crate.
# Behaviour: of two insertions under one key, the second reports the first value to `on_evict`; the key stays, with the second value.
# Output seen:
#   evicted: [(1, "first")]
#   there: Some("second")
#
# Usage: findings/quick-cache-replaced.sh. Needs cargo. Exit status 0 as long as it is so.
set -eu

command -v cargo > /dev/null || { echo "cargo is missing" >&2; exit 2; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/src"
cat > "$dir/Cargo.toml" << 'TOML'
[package]
name = "replaced"
version = "0.0.0"
edition = "2024"

[dependencies]
quick_cache = { version = "=0.7.0", default-features = false }
TOML
cat > "$dir/src/main.rs" << 'RUST'
use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Lifecycle, UnitWeighter};

#[derive(Clone)]
struct Reported;

impl Lifecycle<u8, &'static str> for Reported {
    type RequestState = Vec<(u8, &'static str)>;

    fn on_evict(&self, state: &mut Self::RequestState, key: u8, value: &'static str) {
        state.push((key, value));
    }
}

fn main() {
    let cache = Cache::with(1_000, 1_000, UnitWeighter, DefaultHashBuilder::default(), Reported);
    let mut evicted = Vec::new();
    cache.insert_with_lifecycle(1, "first", &mut evicted);
    cache.insert_with_lifecycle(1, "second", &mut evicted);
    println!("evicted: {evicted:?}");
    println!("there: {:?}", cache.get(&1));
}
RUST
CARGO_TARGET_DIR="$dir/target" cargo run --quiet --manifest-path "$dir/Cargo.toml" | tee "$dir/seen"
grep -qxF 'evicted: [(1, "first")]' "$dir/seen"
grep -qxF 'there: Some("second")' "$dir/seen"

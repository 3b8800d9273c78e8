#!/bin/sh
# sd-notify (Rust): a socket in the abstract namespace is taken for a file of that name.
#
# sd_notify(3): a NOTIFY_SOCKET that begins with `@` names a socket in Linux's abstract namespace. Container managers and supervisors use
# such sockets, because they need no directory that both sides see. The crate hands the text to the operating system as a path, so the
# service manager never hears that the service is ready, and ends it when its start times out.
#
# Software: sd-notify 0.5.0, a Rust crate, on Linux.
# Behaviour: with a path the message comes; with `@name` it does not, and the call fails as if a file were missing.
# Output seen:
#   path: READY=1
#   abstract: nothing; the program says: Err(NotFound)
#
# Usage: findings/sd-notify-abstract.sh. Needs cargo and python3. Exit status 0 as long as it is so.
set -eu

for program in cargo python3; do
    command -v "$program" > /dev/null || { echo "$program is missing" >&2; exit 2; }
done
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/src"
cat > "$dir/Cargo.toml" << 'TOML'
[package]
name = "ready"
version = "0.0.0"
edition = "2024"

[dependencies]
sd-notify = "=0.5.0"
TOML
cat > "$dir/src/main.rs" << 'RUST'
fn main() {
    println!("{:?}", sd_notify::notify(&[sd_notify::NotifyState::Ready]).map_err(|error| error.kind()));
}
RUST
CARGO_TARGET_DIR="$dir/target" cargo build --quiet --manifest-path "$dir/Cargo.toml"

python3 - "$dir/target/debug/ready" "$dir" << 'PYTHON'
import os, socket, subprocess, sys

program, directory = sys.argv[1:]

def heard(label, address, name):
    """What arrives at a socket, and what the program says."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        manager.settimeout(2)
        said = subprocess.run([program], env={"NOTIFY_SOCKET": name}, capture_output=True, text=True).stdout.strip()
        try:
            message = manager.recv(64).decode().strip()
        except TimeoutError:
            message = f"nothing; the program says: {said}"
    print(f"{label}: {message}")
    return message

path = os.path.join(directory, "socket")
name = f"ready-{os.getpid()}"
ok = heard("path", path, path) == "READY=1"
ok = heard("abstract", "\0" + name, "@" + name).startswith("nothing; the program says: Err(") and ok
sys.exit(0 if ok else 1)
PYTHON

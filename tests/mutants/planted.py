#!/usr/bin/env python3
"""Plants the mistakes of tests/mutants/*.toml and says which of them no test notices. `script/mutants` calls it.

The checkout stays as it is: the mistakes are planted in a copy below target/mutants. All that are Rust, a script or a
stylesheet are built once, and the environment variable PLANTED_MUTANT switches one of them on. What cannot be chosen
while the program runs (`build = "alone"`) is built by itself.
"""

import concurrent.futures
import fcntl
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[2]
WORK = ROOT / "target" / "mutants"
TREE = WORK / "tree"
VARIABLE = "PLANTED_MUTANT"
# With many more, the compiler needs more memory than most machines have.
TOGETHER = 80
# A test that does not end has noticed something, too.
SECONDS = 300
CARRIED = (".js", ".css")
HOOK = "    let file = |&(name, content, gzip, brotli): &Carried| {\n"
SERVED_INSTEAD = (
    "        if let Some(content) = crate::planted::file(name) { return (name, File::of(content.as_bytes())); }\n"
)
PLACE = {"file", "from", "to"}


def fail(sentence):
    sys.exit(f"script/mutants: {sentence}")


class Mutant:
    """One mistake: what it breaks, where, and the tests of which at least one fails because of it."""

    def __init__(self, source, table):
        self.where = f"{source.relative_to(ROOT)}: {table.get('name', 'a mutant without a name')}"
        self.changes = [table, *table.get("also", [])]
        self.check_keys(table, {"name", "breaks", "tests"} | PLACE, {"whole", "build", "also", "claims"})
        for place in table.get("also", []):
            self.check_keys(place, PLACE, set())
        self.name, self.breaks, self.tests = table["name"], table["breaks"], table["tests"]
        self.claims = table.get("claims", [])
        self.whole = table.get("whole", False)
        self.alone = "build" in table
        if self.alone and table["build"] != "alone":
            fail(f'{self.where}: `build` is "alone" or is left out')
        for change in self.changes:
            is_chosen = change["file"].endswith(".rs") or is_carried(change)
            if not self.alone and not is_chosen:
                fail(f'{self.where}: {change["file"]} cannot be chosen while the program runs; add build = "alone"')
        if self.whole and not any(f'planted::is("{self.name}")' in change["to"] for change in self.changes):
            fail(f'{self.where}: `to` is whole and does not ask crate::planted::is("{self.name}")')

    def check_keys(self, table, needed, others):
        if unknown := set(table) - needed - others:
            fail(f"{self.where} has the unknown key {sorted(unknown)[0]}")
        if missing := needed - set(table):
            fail(f"{self.where} lacks {sorted(missing)[0]}")

    def span(self, change, files):
        """Where in its file the change is made."""
        if change["file"] not in files:
            fail(f"{self.where}: there is no file {change['file']}")
        content = files[change["file"]].decode()
        if (times := content.count(change["from"])) != 1:
            fail(f"{self.where}: its `from` is {times} times in {change['file']}; write it anew for today's code")
        start = content.index(change["from"])
        return change["file"], start, start + len(change["from"])

    def text(self, change):
        """What stands in the place of the original: the mistake, in Rust behind the variable."""
        original, mistake = change["from"], change["to"]
        if self.alone or self.whole or not change["file"].endswith(".rs"):
            return mistake
        inner = original.strip()
        choice = f'if crate::planted::is("{self.name}") {{ {mistake.strip()} }} else {{ {inner} }}'
        is_statement = inner.endswith((";", "}"))
        return original.replace(inner, choice if is_statement else f"({choice})")


def read_all():
    mutants = []
    for source in sorted((ROOT / "tests" / "mutants").glob("*.toml")):
        with source.open("rb") as file:
            try:
                tables = tomllib.load(file).get("mutant", [])
            except tomllib.TOMLDecodeError as error:
                fail(f"{source.relative_to(ROOT)}: {error}")
        mutants += [Mutant(source, table) for table in tables]
    names = [mutant.name for mutant in mutants]
    if doubles := [name for name in names if names.count(name) > 1]:
        fail(f"two mutants have the name {doubles[0]}")
    known = {}
    for mutant in mutants:
        same = [(change["file"], change["from"], change["to"].replace(mutant.name, "")) for change in mutant.changes]
        if known.setdefault(str(same), mutant) is not mutant:
            fail(f"{mutant.where} makes the same mistake as {known[str(same)].where}")
    return mutants


def source_files():
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    return {name: (ROOT / name).read_bytes() for name in names.split("\0") if name and (ROOT / name).is_file()}


def lay(files):
    """Makes the tree hold exactly these files. What has not changed keeps its time, so that it is not built again."""
    for path in [path for path in TREE.rglob("*") if path.is_file() and path.parts[len(TREE.parts)] != "target"]:
        if str(path.relative_to(TREE)) not in files:
            path.unlink()
    for name, content in files.items():
        path = TREE / name
        if not path.is_file() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            path.chmod((ROOT / name).stat().st_mode if (ROOT / name).exists() else 0o644)
    (TREE / "target").mkdir(parents=True, exist_ok=True)
    tools = TREE / "target" / "tools"
    if not tools.is_symlink():
        tools.symlink_to(ROOT / "target" / "tools")


def rounds(mutants, files):
    """The mutants in groups that are built together: few enough, and in each no two change the same text."""
    groups = []
    for mutant in mutants:
        spans = [mutant.span(change, files) for change in mutant.changes if not is_carried(change)]
        for group, taken in groups:
            if len(group) < TOGETHER and not any(meet(one, other) for one in spans for other in taken):
                break
        else:
            group, taken = [], []
            groups.append((group, taken))
        group.append(mutant)
        taken += spans
    return [group for group, _ in groups]


def meet(one, other):
    return one[0] == other[0] and one[1] < other[2] and other[1] < one[2]


def is_carried(change):
    """Whether the program carries the file as it is, and so can serve another one in its place."""
    return change["file"].endswith(CARRIED)


def with_mistakes(files, mutants):
    """The files with these mistakes in them. No two change the same text."""
    changes = [(*mutant.span(change, files), mutant.text(change)) for mutant in mutants for change in mutant.changes]
    result = dict(files)
    for name, start, end, text in sorted(changes, reverse=True):
        content = result[name].decode()
        result[name] = (content[:start] + text + content[end:]).encode()
    return result


def behind_the_variable(files, mutants):
    """The files with all mistakes in them, and the module that reads the variable."""
    compiled = [mutant for mutant in mutants if not any(map(is_carried, mutant.changes))]
    result = with_mistakes(files, compiled)
    arms = ""
    for mutant in mutants:
        if mutant not in compiled:
            changed = with_mistakes(files, [mutant])
            for name in sorted({change["file"] for change in mutant.changes}):
                key = f"({json.dumps(mutant.name)}, {json.dumps(pathlib.PurePath(name).name)})"
                arms += f"        {key} => Some({raw(changed[name].decode())}),\n"
    result["src/planted.rs"] = MODULE.replace("ARMS", arms).encode()
    result["src/lib.rs"] += b"\n#[doc(hidden)]\n#[allow(missing_docs)]\npub mod planted;\n"
    served = result["src/web/static_files.rs"].decode()
    if HOOK not in served:
        fail("src/web/static_files.rs has another beginning of FILES than tests/mutants/planted.py knows")
    result["src/web/static_files.rs"] = served.replace(HOOK, HOOK + SERVED_INSTEAD).encode()
    return result


def raw(content):
    fence = "#" * (1 + max((len(found) for found in re.findall('"(#*)', content)), default=0))
    return f'r{fence}"{content}"{fence}'


MODULE = """\
use std::sync::LazyLock;

static ACTIVE: LazyLock<String> = LazyLock::new(|| std::env::var("PLANTED_MUTANT").unwrap_or_default());

pub fn is(name: &str) -> bool {
    *ACTIVE == name
}

pub(crate) fn file(name: &str) -> Option<&'static str> {
    match (ACTIVE.as_str(), name) {
ARMS        _ => None,
    }
}
"""


def build():
    """The test binaries, or None with the words of the compiler."""
    command = ["cargo", "test", "--quiet", "--locked", "--no-run", "--lib", "--test", "it", "--message-format", "json"]
    environment = os.environ | {"CARGO_TARGET_DIR": str(WORK / "build")}
    built = subprocess.run(command, cwd=TREE, env=environment, stdout=subprocess.PIPE, text=True)
    messages = [json.loads(line) for line in built.stdout.splitlines() if line.startswith("{")]
    if built.returncode:
        errors = [message["message"] for message in messages if message["reason"] == "compiler-message"]
        return None, "".join(error["rendered"] for error in errors if error["level"] == "error")
    binaries = [message["executable"] for message in messages if message.get("profile", {}).get("test")]
    return [binary for binary in binaries if binary], ""


def names_in(binaries):
    found = set()
    for binary in binaries:
        listed = subprocess.run([binary, "--list", "--format", "terse"], cwd=TREE, stdout=subprocess.PIPE, text=True)
        found |= {line.removesuffix(": test") for line in listed.stdout.splitlines()}
    return found


def run(binaries, filters, planted="", seconds=SECONDS):
    """Which of these tests fail: none, some, or `None` with a time-out."""
    failed = []
    for binary in binaries:
        # A file and not a pipe: a process that a test has left behind may hold it, and is not waited for.
        with tempfile.TemporaryFile("w+") as output:
            child = subprocess.Popen(
                [binary, *filters], cwd=TREE, env=os.environ | {VARIABLE: planted, "CARGO_MANIFEST_DIR": str(TREE)},
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
            try:
                status = child.wait(timeout=seconds)
            except subprocess.TimeoutExpired:
                return None
            finally:
                if child.poll() is None:
                    os.killpg(child.pid, signal.SIGKILL)
                    child.wait()
            output.seek(0)
            said = output.read()
        if status:
            failures = re.findall(r"^    (\S+)$", said.rpartition("\nfailures:\n")[2], re.MULTILINE)
            failed += failures or [f"the end of all tests: {said[-2000:]}"]
    return failed


class Report:
    def __init__(self, count):
        self.count, self.done, self.unnoticed = count, 0, []

    def tell(self, mutant, failed, began):
        self.done += 1
        word = "NOT NOTICED" if failed == [] else "noticed"
        by = f": {mutant.breaks}" if failed == [] else f" by {', '.join(failed)}" if failed else " by a test that hangs"
        print(f"[{self.done}/{self.count}] {word} {mutant.name}{by} ({time.monotonic() - began:.0f} s)", flush=True)
        if failed == []:
            self.unnoticed.append(mutant)


def built(what):
    binaries, words = build()
    if binaries is None:
        fail(f"{what} cannot be built; if a mistake does not compile, mend it in tests/mutants:\n{words}")
    return binaries


def check_without(mutants, binaries):
    """Their tests exist, and pass while no mistake is switched on."""
    tests = names_in(binaries)
    for mutant in mutants:
        for name in mutant.tests:
            if not any(name in test for test in tests):
                fail(f"{mutant.where}: no test has {name} in its name")
    print("Running their tests without a mistake ...", flush=True)
    failed = run(binaries, sorted({name for mutant in mutants for name in mutant.tests}), seconds=3600)
    if failed != []:
        what = ", ".join(failed) if failed else "one that hangs"
        fail(f"these tests fail without any mistake, so they cannot notice one: {what}")


def check_claims(mutants):
    """Each number is that of a row, and every row that nothing breaks is named."""
    rows = re.findall(r"^\| (\d+[a-z]?) \|", (ROOT / "docs" / "security.md").read_text(), re.MULTILINE)
    broken = set()
    for mutant in mutants:
        broken.update(mutant.claims)
        if unknown := set(mutant.claims) - set(rows):
            fail(f"{mutant.where}: docs/security.md has no claim {sorted(unknown)[0]}")
    if whole := [row for row in rows if row not in broken]:
        print(f"No mistake breaks these claims of docs/security.md: {', '.join(whole)}")


def attempt(binaries, mutant, planted=""):
    began = time.monotonic()
    return mutant, run(binaries, mutant.tests, planted), began


def try_together(group, files, report):
    print(f"Building with {len(group)} mistakes behind {VARIABLE} ...", flush=True)
    lay(behind_the_variable(files, group))
    binaries = built("the program with the mistakes")
    check_without(group, binaries)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        attempts = [pool.submit(attempt, binaries, mutant, mutant.name) for mutant in group]
        try:
            for done in concurrent.futures.as_completed(attempts):
                report.tell(*done.result())
        except KeyboardInterrupt:
            pool.shutdown(cancel_futures=True)
            raise


def try_alone(mutants, files, report):
    if not mutants:
        return
    print("Building without a mistake ...", flush=True)
    lay(files)
    check_without(mutants, built("the program"))
    for mutant in mutants:
        lay(with_mistakes(files, [mutant]))
        report.tell(*attempt(built(mutant.where), mutant))


def main(wanted):
    mutants = read_all()
    check_claims(mutants)
    for name in wanted:
        if not any(name in mutant.name for mutant in mutants):
            fail(f"no mutant has {name} in its name; the names are in tests/mutants/*.toml")
    mutants = [mutant for mutant in mutants if not wanted or any(name in mutant.name for name in wanted)]
    WORK.mkdir(parents=True, exist_ok=True)
    with (WORK / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            fail("it runs already over this checkout; wait until that run has ended")
        files = source_files()
        report = Report(len(mutants))
        for group in rounds([mutant for mutant in mutants if not mutant.alone], files):
            try_together(group, files, report)
        try_alone([mutant for mutant in mutants if mutant.alone], files, report)

    print(f"{report.count - len(report.unnoticed)} of {report.count} mistakes were noticed.")
    for mutant in report.unnoticed:
        print(f"  not noticed: {mutant.where}: {mutant.breaks}")
    sys.exit(1 if report.unnoticed else 0)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)

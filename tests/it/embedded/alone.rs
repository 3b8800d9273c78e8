//! Neither the environment nor other users of the machine can affect the private PostgreSQL.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use super::{data_dir, is_running};
use crate::support::{Database, Program, begun, oneseat, oneseat_with};

/// Every variable that libpq's documentation names, and those of its programs.
const OF_LIBPQ: [&str; 39] = [
    "PGAPPNAME",
    "PGCHANNELBINDING",
    "PGCLIENTENCODING",
    "PGCONNECT_TIMEOUT",
    "PGDATA",
    "PGDATABASE",
    "PGDATESTYLE",
    "PGGEQO",
    "PGGSSDELEGATION",
    "PGGSSENCMODE",
    "PGGSSLIB",
    "PGHOST",
    "PGHOSTADDR",
    "PGKRBSRVNAME",
    "PGLOADBALANCEHOSTS",
    "PGLOCALEDIR",
    "PGMAXPROTOCOLVERSION",
    "PGMINPROTOCOLVERSION",
    "PGOPTIONS",
    "PGPASSFILE",
    "PGPASSWORD",
    "PGPORT",
    "PGREQUIREAUTH",
    "PGREQUIREPEER",
    "PGREQUIRESSL",
    "PGSERVICE",
    "PGSERVICEFILE",
    "PGSSLCERT",
    "PGSSLCERTMODE",
    "PGSSLCRL",
    "PGSSLKEY",
    "PGSSLMAXPROTOCOLVERSION",
    "PGSSLMINPROTOCOLVERSION",
    "PGSSLMODE",
    "PGSSLNEGOTIATION",
    "PGSSLROOTCERT",
    "PGSYSCONFDIR",
    "PGTARGETSESSIONATTRS",
    "PGTZ",
];

/// What a list of no users prints beside its answer.
const NOBODY: &str = "no users yet; add one with: oneseat user add EMAIL --name NAME\n";

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn it_obeys_no_variable_that_is_meant_for_other_servers() {
    let dir = data_dir();
    let path = dir.path().to_str().unwrap();
    let made = oneseat(&["migrate", "--data-dir", path], "");
    let said = String::from_utf8(made.stderr).unwrap();
    assert!(said.contains("making a private PostgreSQL"), "{said}");
    for name in OF_LIBPQ {
        let output = oneseat_with(&["migrate", "--data-dir", path], &[(name, "nonsense")], "");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success() && said.is_empty(), "{name}: {said}");
    }
    let mut all: Vec<_> = OF_LIBPQ.iter().map(|name| (*name, "1".to_owned())).collect();
    all.push(("ONESEAT_DATA_DIR", path.to_owned()));
    let program = Program::serve_with(&["--bind", "127.0.0.1:0"], &all);
    assert_eq!(program.visitor().get("/readyz").await.status, 200);
    let (stopped, log) = program.terminate();
    assert!(stopped && !is_running(&dir), "{log:#?}");
    assert!(!log.iter().any(|line| line.contains("WARN")), "{log:#?}");
}

#[test]
fn a_command_that_starts_again_without_them_still_reads_its_input() {
    let dir = data_dir();
    let add = [
        "user",
        "add",
        "ada@example.org",
        "--name",
        "Ada",
        "--verified",
        "--password-stdin",
        "--data-dir",
        dir.path().to_str().unwrap(),
    ];
    let added = oneseat_with(&add, &[("PGPORT", "1")], "correct horse lantern staple\n");
    assert!(added.status.success(), "{added:?}");
}

#[test]
fn over_a_database_of_the_operators_they_count() {
    let database = Database::fresh();
    let (server, rest) = database.url().split_once('@').unwrap();
    let url = format!("postgresql://{rest}");
    let role = server.rsplit('/').next().unwrap();
    let list = ["user", "list", "--database-url", &url];
    assert!(oneseat_with(&list, &[("PGUSER", role)], "").status.success());
    let refused = oneseat_with(&list, &[("PGUSER", "nobody_of_this_name")], "");
    let words = String::from_utf8(refused.stderr).unwrap();
    assert!(words.contains("nobody_of_this_name"), "{words}");
}

#[tokio::test]
async fn its_processes_see_nothing_of_the_programs_environment() {
    let dir = data_dir();
    let environment = [
        (
            "ONESEAT_SMTP_URL",
            "smtps://seat:canary@mail.example.org".to_owned(),
        ),
        ("ONESEAT_MAIL_FROM", "seat@example.org".to_owned()),
        ("ONESEAT_PUBLIC_URL", "https://seat.example.org".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "canary".to_owned()),
    ];
    let path = dir.path().to_str().unwrap();
    let program = Program::serve_with(&["--bind", "127.0.0.1:0", "--data-dir", path], &environment);
    let pid = fs::read_to_string(dir.path().join("server/pgdata/postmaster.pid")).unwrap();
    let server = pid.lines().next().unwrap();
    let seen = fs::read(format!("/proc/{server}/environ")).unwrap();
    let names: Vec<_> = seen
        .split(|byte| *byte == 0)
        .map(|entry| String::from_utf8_lossy(entry.split(|byte| *byte == b'=').next().unwrap()).into_owned())
        .collect();
    // The server sets some variables for itself; of the program's environment it gets the first two.
    for name in &names {
        let is_known = ["", "PATH", "LD_LIBRARY_PATH", "PWD", "SHLVL", "_"].contains(&name.as_str())
            || name.starts_with("LC_")
            || name.starts_with("PG");
        assert!(is_known, "{name} in {names:?}");
    }
    assert!(program.terminate().0);
}

#[test]
fn nobody_else_can_open_what_it_is_locked_by() {
    let dir = data_dir();
    let path = dir.path().to_str().unwrap();
    assert!(oneseat(&["migrate", "--data-dir", path], "").status.success());
    let locks = ["start.lock", "in-use.lock"].map(|name| dir.path().join(name));
    // As earlier versions left them.
    for lock in &locks {
        fs::set_permissions(lock, fs::Permissions::from_mode(0o644)).unwrap();
    }
    assert!(oneseat(&["migrate", "--data-dir", path], "").status.success());
    for lock in &locks {
        assert_eq!(mode(lock), 0o600, "{lock:?}");
        if is_root() {
            let other = Command::new("cat")
                .arg(lock)
                .uid(65534)
                .gid(65534)
                .output()
                .unwrap();
            assert!(!other.status.success(), "{lock:?}");
        }
    }
    assert_eq!(mode(dir.path()), if is_root() { 0o711 } else { 0o700 });
    assert_eq!(mode(&dir.path().join("server")), 0o700);
}

#[test]
fn a_lock_that_is_held_is_waited_for_with_a_word_of_who_holds_it() {
    for name in ["start.lock", "in-use.lock"] {
        let dir = data_dir();
        let path = dir.path().to_str().unwrap();
        assert!(oneseat(&["migrate", "--data-dir", path], "").status.success());
        let held = File::open(dir.path().join(name)).unwrap();
        held.lock().unwrap();
        let mut waiting = begun(&["user", "list", "--data-dir", path], &[]);
        let mut words = BufReader::new(waiting.stderr.take().unwrap());
        let mut line = String::new();
        words.read_line(&mut line).unwrap();
        let own = format!("process {} (", std::process::id());
        assert!(line.contains(&own) && line.contains(name), "{line}");
        held.unlock().unwrap();
        assert!(waiting.wait().unwrap().success());
        line.clear();
        words.read_to_string(&mut line).unwrap();
        assert_eq!(line, NOBODY);
    }
}

#[test]
fn what_lies_where_the_locks_should_be_is_not_followed() {
    let dir = data_dir();
    let elsewhere = data_dir();
    let target = elsewhere.path().join("target");
    fs::write(&target, "untouched").unwrap();
    symlink(&target, dir.path().join("start.lock")).unwrap();
    let refused = oneseat(&["user", "list", "--data-dir", dir.path().to_str().unwrap()], "");
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(
        (fs::read_to_string(&target).unwrap().as_str(), mode(&target)),
        ("untouched", 0o644)
    );
    assert!(!dir.path().join("server").exists());
}

#[test]
fn a_link_in_the_servers_directory_leads_nowhere() {
    let dir = data_dir();
    let path = dir.path().to_str().unwrap();
    let list = ["user", "list", "--data-dir", path];
    assert!(oneseat(&["migrate", "--data-dir", path], "").status.success());
    let cluster = dir.path().join("server/pgdata");
    let refusal = || {
        let refused = oneseat(&list, "");
        assert_eq!(refused.status.code(), Some(1));
        let words = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(words.lines().count(), 1, "{words}");
        words
    };

    // A file of another user: it is not read, not even by libpq, which would complain about a file that
    // everybody can read.
    let secret = data_dir();
    let secret = secret.path().join("secret");
    fs::write(&secret, "canary\n").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o644)).unwrap();
    symlink(&secret, dir.path().join("server/no-passwords")).unwrap();
    let listed = oneseat(&list, "");
    assert!(
        listed.status.success() && listed.stderr == NOBODY.as_bytes(),
        "{listed:?}"
    );
    let version = cluster.join("PG_VERSION");
    let aside = cluster.join("PG_VERSION.aside");
    fs::rename(&version, &aside).unwrap();
    symlink(&secret, &version).unwrap();
    let words = refusal();
    assert!(
        words.contains("PG_VERSION") && !words.contains("canary"),
        "{words}"
    );
    // A pipe: the program does not wait for it.
    fs::remove_file(&version).unwrap();
    nix::unistd::mkfifo(&version, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(refusal().contains("PG_VERSION"));
    fs::remove_file(&version).unwrap();
    fs::rename(&aside, &version).unwrap();

    // A directory of another user: nothing in it is read, removed or renamed.
    let other = data_dir();
    for (name, text) in [("PG_VERSION", "9\n"), ("postmaster.pid", "1\n")] {
        fs::write(other.path().join(name), text).unwrap();
    }
    let before = fs::metadata(other.path()).unwrap().mtime();
    fs::rename(&cluster, dir.path().join("server/aside")).unwrap();
    symlink(other.path(), &cluster).unwrap();
    let words = refusal();
    assert!(
        words.contains("pgdata") && !words.contains("postgresql-9"),
        "{words}"
    );
    assert_eq!(fs::read_dir(other.path()).unwrap().count(), 2);
    assert_eq!(fs::metadata(other.path()).unwrap().mtime(), before);
    fs::remove_file(&cluster).unwrap();
    fs::rename(dir.path().join("server/aside"), &cluster).unwrap();
    assert!(oneseat(&list, "").status.success());
}

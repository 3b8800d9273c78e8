//! Tests how certificates are read, and read again.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::time::Instant;

use nix::fcntl::OFlag;

use super::*;

/// Writes a new certificate for this name. Its files are dated this many seconds after 1970.
fn write(files: &TlsConfig, name: &str, seconds: u64) {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    std::fs::write(&files.certificate, made.cert.pem()).unwrap();
    std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    for file in [&files.certificate, &files.key] {
        File::options()
            .write(true)
            .open(file)
            .unwrap()
            .set_modified(at)
            .unwrap();
    }
}

/// A short pause between two looks.
const SOON: Duration = Duration::from_millis(10);

fn shown(certificate: &Certificate) -> Vec<CertificateDer<'static>> {
    certificate.current().cert.clone()
}

fn in_time(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        thread::sleep(SOON);
    }
}

fn files(dir: &Path) -> TlsConfig {
    TlsConfig {
        certificate: dir.join("cert.pem"),
        key: dir.join("key.pem"),
    }
}

#[test]
fn a_renewed_certificate_is_used_and_a_broken_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let files = files(dir.path());
    write(&files, "one.example", 1);
    let (mut reader, current) = Reader::start(files.clone(), Arc::new(ring::default_provider())).unwrap();
    let mut look_again = || {
        reader.look();
        current.read().unwrap().cert.clone()
    };
    let one = look_again();
    assert_eq!(look_again(), one);
    write(&files, "two.example", 2);
    let two = look_again();
    assert_ne!(two, one);
    std::fs::write(&files.key, "half a fi").unwrap();
    assert_eq!(look_again(), two);
    write(&files, "three.example", 3);
    assert_ne!(look_again(), two);
}

#[test]
fn files_that_do_not_answer_hold_nobody_up() {
    let dir = tempfile::tempdir().unwrap();
    let files = files(dir.path());
    write(&files, "one.example", 1);
    let certificate = Certificate::read(files.clone(), Arc::new(ring::default_provider()), SOON).unwrap();
    let one = shown(&certificate);
    // Opening a pipe waits for a writer, as a file system does that has lost its server.
    std::fs::remove_file(&files.certificate).unwrap();
    nix::unistd::mkfifo(&files.certificate, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut writer = None;
    in_time("somebody opens the file", || {
        // Succeeds when a reader waits at the other end.
        let mut at_once = File::options();
        at_once.write(true).custom_flags(OFlag::O_NONBLOCK.bits());
        writer = at_once.open(&files.certificate).ok();
        assert_eq!(shown(&certificate), one);
        writer.is_some()
    });
    // The thread reads, and hangs for as long as this end is open.
    let made = rcgen::generate_simple_self_signed(["two.example".to_owned()]).unwrap();
    std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    let mut writer = writer.unwrap();
    writer.write_all(made.cert.pem().as_bytes()).unwrap();
    assert_eq!(shown(&certificate), one);
    drop(writer);
    in_time("the new one is shown", || shown(&certificate) != one);
}

#[test]
fn a_look_that_dies_is_not_the_last() {
    let dir = tempfile::tempdir().unwrap();
    let files = files(dir.path());
    write(&files, "one.example", 1);
    let (mut reader, current) = Reader::start(files.clone(), Arc::new(ring::default_provider())).unwrap();
    let shown = || current.read().unwrap().cert.clone();
    let one = shown();
    let (looking, ended) = channel();
    thread::scope(|scope| {
        let mut looks = 0;
        let look = move || {
            looks += 1;
            assert!(looks > 2, "on purpose: the reader dies");
            reader.look();
        };
        scope.spawn(move || look_again(look, SOON, &ended));
        write(&files, "two.example", 2);
        in_time("the new one is shown", || shown() != one);
        drop(looking);
    });
}

#[test]
fn what_is_no_certificate_is_refused_in_words() {
    let files = TlsConfig {
        certificate: concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml").into(),
        key: concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml").into(),
    };
    let error = acceptor(&files).map(|_| ()).unwrap_err().to_string();
    assert!(
        error.contains("Cargo.toml") && error.contains("no certificate"),
        "{error}"
    );
}

#[test]
fn a_key_that_cannot_be_used_is_refused_with_the_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let files = files(dir.path());
    write(&files, "seat.example.org", 0);
    let refused = |key: &str| {
        std::fs::write(&files.key, key).unwrap();
        acceptor(&files).map(|_| ()).unwrap_err().to_string()
    };
    let other = rcgen::generate_simple_self_signed(["other.example.org".to_owned()]).unwrap();
    let error = refused(&other.signing_key.serialize_pem());
    assert!(error.contains("not the key of the certificate"), "{error}");
    let error = refused("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n");
    assert!(error.contains("without a passphrase"), "{error}");
    let directory = TlsConfig {
        key: dir.path().to_owned(),
        ..files.clone()
    };
    let error = acceptor(&directory).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("directory") && !error.contains("I/O"), "{error}");
}

//! Which database is used, and with how many connections.

use std::fmt;
use std::path::PathBuf;

use clap::Args;

use super::reader::{Reader, given};

/// Settings of the database. Taken by every command.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Database settings")]
pub struct DatabaseSettings {
    /// PostgreSQL 13 or later; without it oneseat runs a private PostgreSQL of its own
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: Option<String>,

    /// File with that URL in it, such as a secret of a container or a credential of systemd
    #[arg(long, env = "DATABASE_URL_FILE", value_name = "FILE")]
    pub database_url_file: Option<String>,

    /// Directory of the private PostgreSQL [default: /var/lib/oneseat for root, else the user's
    /// data directory]
    #[arg(long, env = "ONESEAT_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<String>,

    /// Connections to PostgreSQL; one or two of them only validate tokens
    #[arg(long, env = "ONESEAT_DB_POOL_SIZE", value_name = "N", default_value = "10")]
    pub db_pool_size: String,
}

/// Which database is used, and with how many connections.
#[derive(Clone, Debug)]
pub struct DatabaseConfig {
    /// The operator's database, or the directory of a private one.
    pub location: DatabaseLocation,
    /// 2 to 250: one to validate with, one for everything else.
    pub pool_size: u32,
}

/// Which PostgreSQL to use.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseLocation {
    /// The operator's own, as a libpq connection string.
    Url(String),
    /// A private one that this program runs, with everything under this directory.
    Embedded(PathBuf),
}

// A connection string may hold a password.
impl fmt::Debug for DatabaseLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(_) => f.write_str("Url(..)"),
            Self::Embedded(dir) => f.debug_tuple("Embedded").field(dir).finish(),
        }
    }
}

impl DatabaseConfig {
    pub(super) fn read(reader: &mut Reader, settings: &DatabaseSettings) -> Option<Self> {
        let (url, file) = (given(&settings.database_url), given(&settings.database_url_file));
        // An empty setting is an error: a missing secret must not lead to a new and empty database.
        let (a_private_one, its_usual_place) = ("a private PostgreSQL", "the usual directory");
        for (flag, variable, raw, without) in [
            (
                "--database-url",
                "DATABASE_URL",
                &settings.database_url,
                a_private_one,
            ),
            (
                "--database-url-file",
                "DATABASE_URL_FILE",
                &settings.database_url_file,
                a_private_one,
            ),
            (
                "--data-dir",
                "ONESEAT_DATA_DIR",
                &settings.data_dir,
                its_usual_place,
            ),
        ] {
            reader.require(
                raw.as_ref().is_none_or(|raw| !raw.trim().is_empty()),
                &format!("{flag} is empty; for {without} leave it out and unset {variable}"),
            );
        }
        reader.require(
            url.is_none() || file.is_none(),
            "--database-url and --database-url-file exclude each other",
        );
        let location = match (url, file) {
            (Some(url), _) => reader.read("--database-url", "(hidden)", |_| database_url(url)),
            (None, Some(file)) => reader.read("--database-url-file", file, |file| {
                let url =
                    std::fs::read_to_string(file).map_err(|error| format!("cannot be read: {error}"))?;
                database_url(url.trim())
            }),
            (None, None) => match given(&settings.data_dir) {
                Some(dir) => reader.read("--data-dir", dir, |dir| {
                    std::path::absolute(dir)
                        .map(DatabaseLocation::Embedded)
                        .map_err(|error| error.to_string())
                }),
                None => reader.read("--data-dir", "", |_| {
                    default_data_dir()
                        .map(DatabaseLocation::Embedded)
                        .ok_or_else(|| "neither XDG_DATA_HOME nor HOME is set; name one".to_owned())
                }),
            },
        };
        let pool_size = reader.count("--db-pool-size", &settings.db_pool_size, 2..=250);
        Some(Self {
            location: location?,
            pool_size: pool_size?,
        })
    }

    /// Whether this program runs the PostgreSQL.
    pub(super) fn is_embedded(&self) -> bool {
        matches!(self.location, DatabaseLocation::Embedded(_))
    }
}

/// Checks what libpq does not: it cannot take NUL, and with an empty string it chooses a server itself.
fn database_url(url: &str) -> Result<DatabaseLocation, String> {
    if url.is_empty() {
        return Err("is empty".to_owned());
    }
    if url.contains('\0') {
        return Err("holds a NUL character".to_owned());
    }
    if !is_connection_string(url) {
        return Err(
            "is no connection string of PostgreSQL; write it like postgres://user@host/database".to_owned(),
        );
    }
    Ok(DatabaseLocation::Url(url.to_owned()))
}

/// Whether the text has one of the two forms that libpq reads: a URI, or words like `host=/run dbname=x`.
fn is_connection_string(url: &str) -> bool {
    let is_uri = url.starts_with("postgres://") || url.starts_with("postgresql://");
    let keyword = url.split_once('=').map(|(keyword, _)| keyword.trim());
    let is_keyword =
        |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    is_uri || keyword.is_some_and(is_keyword)
}

fn default_data_dir() -> Option<PathBuf> {
    if nix::unistd::geteuid().is_root() {
        return Some(PathBuf::from("/var/lib/oneseat"));
    }
    // The XDG base directory specification ignores a relative path.
    let absolute = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute("XDG_DATA_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/share")))
        .map(|base| base.join("oneseat"))
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;
    use super::*;

    #[test]
    fn a_connection_string_is_never_printed() {
        let (database, _) = read(&["--database-url", "postgres://ada:canary@db/x"]).unwrap();
        assert!(!format!("{database:?}").contains("canary"));
    }

    #[test]
    fn a_connection_string_that_is_missing_is_not_a_private_database() {
        for flag in ["--database-url", "--database-url-file", "--data-dir"] {
            let bad = read(&[flag, " "]).unwrap_err().to_string();
            assert!(bad.starts_with(&format!("{flag} is empty")), "{bad}");
        }
    }

    #[test]
    fn what_libpq_cannot_read_is_told_with_the_other_settings() {
        for url in [
            "oneseat",
            "mysql://db/x",
            "db.example.org:5432/x",
            "postgres:x",
            "HOST=x",
            "=x",
        ] {
            let bad = read(&["--database-url", url, "--bind", "nowhere"])
                .unwrap_err()
                .to_string();
            assert!(
                bad.starts_with("--database-url") && bad.lines().count() == 2,
                "{bad}"
            );
        }
        for url in [
            "postgresql:///x?host=/run",
            "host=/run dbname=x",
            "service=seat",
            "dbname = x",
        ] {
            assert!(read(&["--database-url", url]).is_ok(), "{url}");
        }
    }

    #[test]
    fn a_connection_string_may_be_in_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("url");
        let of_file = || read(&["--database-url-file", file.to_str().unwrap()]);
        std::fs::write(&file, "postgres://ada:canary@db/x\n").unwrap();
        let (database, _) = of_file().unwrap();
        assert_eq!(
            database.location,
            DatabaseLocation::Url("postgres://ada:canary@db/x".to_owned())
        );
        for wrong in [&b"\n"[..], b"postgres://canary\0", b"canary\xff"] {
            std::fs::write(&file, wrong).unwrap();
            let bad = of_file().unwrap_err().to_string();
            assert!(
                bad.contains("--database-url-file") && !bad.contains("canary"),
                "{bad}"
            );
        }
        std::fs::remove_file(&file).unwrap();
        assert!(of_file().is_err());
        let both = [
            "--database-url",
            "postgres://",
            "--database-url-file",
            "/dev/null",
        ];
        assert!(
            read(&both)
                .unwrap_err()
                .to_string()
                .contains("exclude each other")
        );
    }
}

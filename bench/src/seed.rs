//! Users with sessions, loaded in bulk, whose tokens can be computed.
//!
//! The token of user 1 is SHA-256 of `bench1`, and the database has SHA-256 of that: pgbench computes it in SQL and the
//! benchmark in Rust. In addition there are [`VISITORS`] users without a session, who sign in.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use anyhow::{Result, anyhow};
use oneseat::db::migrations;
use oneseat::users::{Hasher, Password};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::cluster::Cluster;

/// Users without a session at first.
pub const VISITORS: u64 = 50_000;
/// Sessions that requests use, evenly spread over all.
pub const MOST_ASKED: u64 = 10_000;

const PASSWORD: &str = "correct horse lantern staple";
const USER_AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

/// A database with sessions in it.
#[derive(Clone)]
pub struct Seeded {
    pub database: String,
    pub url: String,
    pub sessions: u64,
}

/// The benchmark's one password as the program itself stores it: whatever the program's parameters are, sign-in meets
/// a hash that it need not make stronger.
pub fn password_hash() -> Result<String> {
    let hasher = Hasher::start(1, None).map_err(|error| anyhow!("{error}"))?;
    let password = Password::chosen(PASSWORD, &[])?;
    let hash = actix_web::rt::System::new().block_on(hasher.hash(password));
    Ok(hash.map_err(|error| anyhow!("{error}"))?.as_str().to_owned())
}

/// The token of the user with this number, as in `Authorization`.
pub fn token(user: u64) -> String {
    hex::encode(Sha256::digest(format!("bench{user}")))
}

impl Seeded {
    pub fn fill(cluster: &Cluster, sessions: u64, password_hash: &str) -> Result<Self> {
        let database = format!("oneseat_{sessions}");
        cluster.create(&database)?;
        let url = cluster.url(&database);
        migrations::run(&url).map_err(|error| anyhow!("{error}"))?;
        let seeded = Self {
            database,
            url,
            sessions,
        };
        let indexes = seeded.indexes(cluster)?;
        // The indexes are made after the rows, and the foreign key is not checked a million times.
        let mut load = String::from("set session_replication_role = replica;\n");
        for (name, _) in &indexes {
            writeln!(load, "drop index {name};")?;
        }
        load.push_str(&seeded.users(1, sessions + VISITORS, password_hash));
        let live = "now(), now() + interval '11 hours'";
        load.push_str(&seeded.seats(
            1,
            sessions,
            "sha256(sha256(convert_to('bench' || i, 'UTF8')))",
            live,
        ));
        for (_, definition) in &indexes {
            writeln!(load, "{definition};")?;
        }
        cluster.execute(&seeded.database, &load)?;
        cluster.settle(&seeded.database)?;
        Ok(seeded)
    }

    /// The description of a copy of this database.
    pub fn at(&self, cluster: &Cluster, database: String) -> Self {
        Self {
            url: cluster.url(&database),
            database,
            sessions: self.sessions,
        }
    }

    /// Adds this many users, each with an expired session.
    pub fn add_expired(&self, cluster: &Cluster, expired: u64) -> Result<()> {
        let (first, last) = (self.sessions + VISITORS + 1, self.sessions + VISITORS + expired);
        let mut load = String::from("set session_replication_role = replica;\n");
        load.push_str(&self.users(first, last, "none"));
        let digest = "sha256(convert_to('expired' || i, 'UTF8'))";
        let past = "now() - interval '3 hours', now() - interval '1 hour'";
        load.push_str(&self.seats(first, last, digest, past));
        cluster.execute(&self.database, &load)?;
        cluster.settle(&self.database)
    }

    /// Counts all present sessions, live and expired.
    pub fn count(&self, cluster: &Cluster) -> Result<u64> {
        let count = cluster.words(&self.database, "select count(*)::text as word from sessions")?;
        Ok(count.concat().parse()?)
    }

    fn users(&self, first: u64, last: u64, password_hash: &str) -> String {
        format!(
            "insert into users (id, name, email, password_hash, email_verified)
             select md5('user' || i)::uuid, 'Person ' || i, 'person-' || i || '@example.com', '{password_hash}', true
             from generate_series({first}, {last}) as i;\n"
        )
    }

    fn seats(&self, first: u64, last: u64, digest: &str, activity_and_end: &str) -> String {
        format!(
            "insert into sessions
                 (written_at, user_id, token_digest, ip_address, user_agent, created_at, last_activity, expires_at)
             select now(), md5('user' || i)::uuid, {digest}, '192.0.2.1', '{USER_AGENT}', now(), {activity_and_end}
             from generate_series({first}, {last}) as i;\n"
        )
    }

    /// Name and definition of each index that no constraint stands on.
    fn indexes(&self, cluster: &Cluster) -> Result<Vec<(String, String)>> {
        let query = |column: &str| {
            format!(
                "select {column}::text as word from pg_indexes
                 where tablename in ('users', 'sessions') and indexname not in (select conname from pg_constraint)
                 order by indexname"
            )
        };
        let names = cluster.words(&self.database, &query("indexname"))?;
        let definitions = cluster.words(&self.database, &query("indexdef"))?;
        Ok(names.into_iter().zip(definitions).collect())
    }

    /// The spacing and the number of the sessions that requests use: 1, 1 + spacing, ...
    pub fn asked(&self) -> (u64, u64) {
        let spacing = self.sessions.div_ceil(MOST_ASKED);
        (spacing, self.sessions / spacing)
    }

    /// A file with the headers of the sessions that requests use, one on each line.
    pub fn headers(&self, cluster: &Cluster) -> Result<PathBuf> {
        let (spacing, count) = self.asked();
        self.headers_of(cluster, spacing, count)
    }

    /// A file with the header of every live session, one on each line.
    pub fn all_headers(&self, cluster: &Cluster) -> Result<PathBuf> {
        self.headers_of(cluster, 1, self.sessions)
    }

    fn headers_of(&self, cluster: &Cluster, spacing: u64, count: u64) -> Result<PathBuf> {
        let path = cluster.file(&format!("{}-{count}.headers", self.database));
        let mut lines = String::new();
        for at in 0..count {
            writeln!(lines, "Authorization: Bearer {}", token(1 + at * spacing))?;
        }
        fs::write(&path, lines)?;
        Ok(path)
    }

    /// A file with one sign-in per line, for this many users without a session, starting with this one.
    pub fn logins(&self, cluster: &Cluster, from: u64, count: u64) -> Result<PathBuf> {
        let path = cluster.file(&format!("{}-{from}.logins", self.database));
        let mut lines = String::new();
        for at in from..from + count {
            let body = login(self.sessions + 1 + at % VISITORS);
            writeln!(lines, "{body}")?;
        }
        fs::write(&path, lines)?;
        Ok(path)
    }

    /// What the visitor of this number sends to sign in.
    pub fn login_of(&self, visitor: u64) -> String {
        login(self.sessions + 1 + visitor % VISITORS).to_string()
    }
}

fn login(user: u64) -> serde_json::Value {
    json!({ "email": format!("person-{user}@example.com"), "password": PASSWORD })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_asked_for_are_spread_over_all() {
        let of = |sessions| Seeded {
            database: String::new(),
            url: String::new(),
            sessions,
        };
        assert_eq!(of(100).asked(), (1, 100));
        assert_eq!(of(100_000).asked(), (10, 10_000));
        let (spacing, count) = of(25_001).asked();
        let last = 1 + (count - 1) * spacing;
        assert!(last <= 25_001 && count <= MOST_ASKED);
    }

    #[test]
    fn a_token_is_one_that_oneseat_reads() {
        assert!(oneseat::token::Token::parse(token(1).as_bytes()).is_some());
    }
}

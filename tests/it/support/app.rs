//! A server for one test, and the people who use it.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{LazyLock, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version};
use clap::{Args, Command, FromArgMatches};
use diesel::RunQueryDsl;
use diesel::sql_types::{Bool, Text};
use oneseat::auth::Auth;
use oneseat::config::{
    BadValues, DatabaseConfig, DatabaseLocation, DatabaseSettings, ServeConfig, ServeSettings, StandardOutput,
};
use oneseat::users::{Email, Name, Role};
use tokio::sync::oneshot;

use super::client::{Answer, Client, PASSWORD};
use super::database::Database;
use super::program::oneseat;
use super::{TIMEOUT, eventually};

/// A running instance. Several may share a database.
pub struct App {
    pub address: SocketAddr,
    pub auth: Auth,
    database: Rc<Database>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl App {
    /// An instance over a fresh database.
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// An instance over a fresh database, with other settings.
    pub async fn start_with(change: impl FnOnce(&mut ServeConfig)) -> Self {
        Self::over(Rc::new(Database::fresh()), change)
    }

    /// A second instance over the same database.
    pub async fn another_instance(&self) -> Self {
        self.another_instance_with(|_| {}).await
    }

    /// A second instance over the same database, with other settings.
    pub async fn another_instance_with(&self, change: impl FnOnce(&mut ServeConfig)) -> Self {
        Self::over(self.database.clone(), change)
    }

    /// An instance over a fresh database whose sweep at its start is over, for tests of later sweeps.
    pub async fn start_swept() -> Self {
        let database = Database::fresh();
        // Nothing but a sweep removes it: an expired session may be ended by others before.
        database.execute(
            "insert into login_failures (email_digest, failed_attempts, updated_at)
             values (sha256('swept at start'), 1, now() - interval '2 days')",
        );
        let app = Self::start_on(database).await;
        eventually("it has begun to sweep", async || {
            app.database().number("select count(*) from login_failures") == 0
        })
        .await;
        eventually("nobody sweeps any more", async || {
            app.auth.sweep(|_| ()).await.unwrap().is_some()
        })
        .await;
        app
    }

    /// An instance over a database that the test has made itself.
    pub async fn start_on(database: Database) -> Self {
        Self::over(Rc::new(database), |_| {})
    }

    /// An instance over a database that the test has made itself, with other settings.
    pub async fn start_on_with(database: Database, change: impl FnOnce(&mut ServeConfig)) -> Self {
        Self::over(Rc::new(database), change)
    }

    /// An instance that reaches its database through this wire. The test itself connects directly.
    pub async fn start_by(url: &str, database: &Database) -> Self {
        Self::start_by_with(url, database, |_| {}).await
    }

    /// An instance that reaches its database through this wire, with other settings.
    pub async fn start_by_with(
        url: &str,
        database: &Database,
        change: impl FnOnce(&mut ServeConfig),
    ) -> Self {
        let database = Rc::new(Database::at(database.url().to_owned()));
        Self::over_by(url, database, change)
    }

    fn over(database: Rc<Database>, change: impl FnOnce(&mut ServeConfig)) -> Self {
        let url = database.url().to_owned();
        Self::over_by(&url, database, change)
    }

    fn over_by(url: &str, database: Rc<Database>, change: impl FnOnce(&mut ServeConfig)) -> Self {
        let mut config = config();
        change(&mut config);
        let location = database_config(url);
        let (stop, stopped) = oneshot::channel::<()>();
        let (built, building) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async {
                let app = oneseat::app::App::build(location, config).await.unwrap();
                built.send((app.address(), app.auth().clone())).unwrap();
                let shutdown = async {
                    let _ = stopped.await;
                };
                app.run_until(shutdown).await.unwrap();
            });
        });
        let (address, auth) = building.recv_timeout(TIMEOUT).expect("the program is built");
        Self {
            address,
            auth,
            database,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// Asks it to stop, as SIGTERM does; dropping it waits until it has.
    pub fn stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }

    pub fn database(&self) -> &Database {
        &self.database
    }

    /// A client without a token.
    pub fn visitor(&self) -> Client {
        Client::new(self.address)
    }

    /// A verified user with this name, signed in.
    pub async fn signed_in(&self, name: &str) -> Client {
        self.add_user(name, Role::User).await;
        self.visitor().sign_in(&email(name)).await
    }

    /// An admin, signed in.
    pub async fn admin(&self) -> Client {
        self.add_user("root", Role::Admin).await;
        self.visitor().sign_in(&email("root")).await
    }

    /// A verified user `NAME@example.org`, not signed in.
    pub async fn add_user(&self, name: &str, role: Role) {
        self.add(name, role, true);
    }

    /// A user `NAME@example.org` whose address was never verified, not signed in.
    pub async fn add_unverified_user(&self, name: &str) {
        self.add(name, Role::User, false);
    }

    /// All of them have one hash: each new one takes as long as the rest of a short test.
    fn add(&self, name: &str, role: Role, email_verified: bool) {
        static HASH: LazyLock<String> = LazyLock::new(|| hash(Params::DEFAULT));
        let (name, email): (Name, Email) = (name.parse().unwrap(), email(name).parse().unwrap());
        let added = diesel::sql_query(
            "insert into users (name, email, role, email_verified, password_hash) values ($1, $2, $3, $4, $5)",
        )
        .bind::<Text, _>(name.to_string())
        .bind::<Text, _>(email.to_string())
        .bind::<Text, _>(role.to_string())
        .bind::<Bool, _>(email_verified)
        .bind::<Text, _>(&*HASH);
        self.database
            .with_connection(|connection| added.execute(connection))
            .unwrap();
    }

    /// Puts a hash with weaker parameters in the place of every stored one. The password is still [`PASSWORD`].
    pub fn weaken_hashes(&self) {
        let weak = hash(Params::new(8, 1, 1, None).unwrap());
        self.database
            .execute(&format!("update users set password_hash = '{weak}'"));
    }

    /// A service's id and secret, as an operator gets them.
    pub fn service(&self, name: &str) -> (String, String) {
        let url = self.database.url();
        let output = oneseat(&["client", "add", name, "--database-url", url], "");
        assert!(output.status.success(), "{output:?}");
        let shown = String::from_utf8(output.stdout).unwrap();
        let word = |label: &str| {
            let line = shown.lines().find(|line| line.contains(label)).unwrap();
            line.split_whitespace().last().unwrap().to_owned()
        };
        (word("client id"), word("client secret"))
    }

    /// The number of live sessions.
    pub fn sessions(&self) -> i64 {
        self.database.number("select count(*) from sessions")
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.stop();
        let thread = self.thread.take();
        let deadline = Instant::now() + TIMEOUT;
        while thread.as_ref().is_some_and(|thread| !thread.is_finished()) {
            if Instant::now() > deadline {
                // It is left behind.
                assert!(
                    std::thread::panicking(),
                    "the server has not stopped within {TIMEOUT:?}"
                );
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let died = thread.is_some_and(|thread| thread.join().is_err());
        if std::thread::panicking() {
            return;
        }
        assert!(!died, "the server died");
        let doubles =
            "select count(*) from (select from sessions group by user_id having count(*) > 1) as doubles";
        assert_eq!(self.database.number(doubles), 0, "the first law is broken");
    }
}

/// Seconds from now until the session ends, according to that answer.
pub fn left(app: &App, answer: &Answer) -> i64 {
    assert_eq!(answer.status, 200, "{answer:?}");
    let body = answer.json();
    let at = body["session"]["expiresAt"].as_str().unwrap();
    app.database().number(&format!(
        "select round(extract(epoch from timestamptz '{at}' - now()))"
    ))
}

/// A hash of [`PASSWORD`].
fn hash(params: Params) -> String {
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password(PASSWORD.as_bytes()).unwrap().to_string()
}

fn email(name: &str) -> String {
    format!("{name}@example.org")
}

/// The settings of a test's instance, of which a test changes a part.
pub fn config() -> ServeConfig {
    let mut config = ServeConfig::usual().unwrap();
    config.http.bind = SocketAddr::from(([127, 0, 0, 1], 0));
    config.http.workers = 2;
    config.http.login_rate = None;
    config.http.max_event_streams = 100;
    config.sweep_interval = Duration::from_secs(3600);
    config
}

/// The settings that these flags of `oneseat serve` make, whatever the environment says.
pub fn config_of(flags: &[&str]) -> Result<ServeConfig, BadValues> {
    let command = DatabaseSettings::augment_args(Command::new("serve"));
    let command = ServeSettings::augment_args(command).mut_args(|arg| arg.env(None));
    let all = [&["serve", "--database-url", "postgres://"], flags].concat();
    let matches = command.get_matches_from(all);
    let database = DatabaseSettings::from_arg_matches(&matches).unwrap();
    let settings = ServeSettings::from_arg_matches(&matches).unwrap();
    let (_, config) = oneseat::config::serve(&database, &settings, StandardOutput::Elsewhere)?;
    Ok(config)
}

/// Opens an existing database, with few connections to it.
pub fn database_config(url: &str) -> DatabaseConfig {
    DatabaseConfig {
        location: DatabaseLocation::Url(url.to_owned()),
        pool_size: 6,
    }
}

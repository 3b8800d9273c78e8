//! Real clients in other languages: generated from the description, and for event streams and services.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use oneseat::users::Role;
use tempfile::TempDir;

use crate::support::{App, PASSWORD, watch_command};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A file below what `script/install test` fetches.
fn tool(path: &str) -> PathBuf {
    Path::new(ROOT).join("target/tools").join(path)
}

/// The output of a program that has to succeed.
fn printed(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}: script/test installs it"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}\n{said}\n{errors}");
    said
}

/// A folder for one client, with the description of this server in it and the packages beside it.
struct Workshop {
    dir: TempDir,
    url: String,
}

impl Workshop {
    async fn open(app: &App) -> Self {
        app.add_user("ada", Role::User).await;
        let dir = tempfile::tempdir().unwrap();
        for name in ["openapi.json", "openapi-3.0.json"] {
            let description = app.visitor().get(&format!("/{name}")).await;
            std::fs::write(dir.path().join(name), description.text).unwrap();
        }
        std::os::unix::fs::symlink(tool("clients/node_modules"), dir.path().join("node_modules")).unwrap();
        std::fs::write(dir.path().join("package.json"), r#"{"type":"module"}"#).unwrap();
        let url = format!("http://{}", app.address);
        Self { dir, url }
    }

    fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command
            .current_dir(&self.dir)
            .env("ONESEAT_URL", &self.url)
            .env("ONESEAT_EMAIL", "ada@example.org")
            .env("ONESEAT_PASSWORD", PASSWORD);
        command
    }

    /// A program of the npm packages.
    fn npx(&self, name: &str) -> Command {
        self.command(tool("clients/node_modules/.bin").join(name))
    }

    /// Copies one of our clients here.
    fn bring(&self, name: &str) {
        let client = Path::new(ROOT).join("tests/clients").join(name);
        std::fs::copy(client, self.dir.path().join(name)).unwrap();
    }

    /// Checks the types of a client, bundles it, and runs it.
    fn run_typescript(&self, name: &str) -> String {
        self.bring(&format!("{name}.ts"));
        let source = format!("{name}.ts");
        // As projects with a bundler have it: what the generators write leaves out the endings of files.
        let types = [
            "--noEmit",
            "--strict",
            "--skipLibCheck",
            "--target",
            "es2022",
            "--module",
            "esnext",
        ];
        let found = ["--moduleResolution", "bundler", "--types", "node"];
        printed(self.npx("tsc").args(types).args(found).arg(&source));
        let bundle = [
            "--bundle",
            "--platform=node",
            "--format=esm",
            "--log-level=warning",
        ];
        let bundled = format!("--outfile={name}.js");
        printed(self.npx("esbuild").args(bundle).arg(bundled).arg(&source));
        printed(self.command("node").arg(format!("{name}.js")))
    }
}

/// One of our clients in Rust. They are built here, because one of them is generated from the description of this server.
fn rust_client(here: &Workshop, name: &str) -> PathBuf {
    // A file that stays as it is builds nothing anew.
    static DESCRIPTION: Mutex<()> = Mutex::new(());
    let _writing = DESCRIPTION.lock().unwrap_or_else(PoisonError::into_inner);
    let (made, description) = (tool("clients/rust"), tool("clients/rust/openapi-3.0.json"));
    std::fs::create_dir_all(&made).unwrap();
    let served = std::fs::read(here.dir.path().join("openapi-3.0.json")).unwrap();
    if std::fs::read(&description).ok().as_ref() != Some(&served) {
        std::fs::write(&description, served).unwrap();
    }
    let mut cargo = here.command(std::env::var_os("CARGO").map_or_else(|| "cargo".into(), PathBuf::from));
    let manifest = Path::new(ROOT).join("tests/clients/rust/Cargo.toml");
    cargo
        .args(["build", "--quiet", "--locked", "--manifest-path"])
        .arg(manifest)
        .env("CARGO_TARGET_DIR", &made)
        .env("ONESEAT_DESCRIPTION", &description);
    printed(&mut cargo);
    made.join("debug").join(name)
}

const STORY: &str = "told: ada@example.org user\nrefused: session_ended signed_out\n";

#[tokio::test(flavor = "multi_thread")]
async fn the_types_of_openapi_typescript_are_enough_to_sign_in_ask_and_sign_out() {
    let app = App::start().await;
    let here = Workshop::open(&app).await;
    printed(
        here.npx("openapi-typescript")
            .args(["openapi.json", "--output", "schema.d.ts"]),
    );
    assert_eq!(here.run_typescript("openapi-fetch"), STORY);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hey_api_makes_signs_in_asks_and_signs_out() {
    let app = App::start().await;
    let here = Workshop::open(&app).await;
    let options = [
        "--input",
        "openapi.json",
        "--output",
        "client",
        "--client",
        "@hey-api/client-fetch",
    ];
    printed(here.npx("openapi-ts").args(options));
    let types = std::fs::read_to_string(here.dir.path().join("client/types.gen.ts")).unwrap();
    // Two operations would get one name: the generator numbers them.
    let numbered: Vec<&str> = types
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| word.ends_with(char::is_numeric) && word.contains("Response"))
        .collect();
    assert!(numbered.is_empty(), "{numbered:?}");
    assert_eq!(here.run_typescript("hey-api"), STORY);
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_that_orval_makes_sign_in_ask_and_sign_out() {
    let app = App::start().await;
    let here = Workshop::open(&app).await;
    let config = format!(
        "module.exports = {{ oneseat: {{ input: './openapi.json',
            output: {{ target: './client.ts', client: 'fetch', baseUrl: '{}' }} }} }};",
        here.url
    );
    std::fs::write(here.dir.path().join("orval.config.cjs"), config).unwrap();
    printed(here.npx("orval").args(["--config", "orval.config.cjs"]));
    assert_eq!(here.run_typescript("orval"), STORY);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_openapi_python_client_makes_signs_in_asks_and_signs_out() {
    let app = App::start().await;
    let here = Workshop::open(&app).await;
    let config =
        "project_name_override: oneseat-client\npackage_name_override: oneseat_client\npost_hooks: []\n";
    std::fs::write(here.dir.path().join("config.yml"), config).unwrap();
    let said = printed(
        here.command(tool("clients/venv/bin/openapi-python-client"))
            .args([
                "generate",
                "--path",
                "openapi.json",
                "--config",
                "config.yml",
                "--meta",
                "none",
                "--output-path",
                "oneseat_client",
            ]),
    );
    assert!(!said.contains("Warning"), "{said}");
    // A model for each schema that has a name, and none for what differs from call to call.
    let models = std::fs::read_dir(here.dir.path().join("oneseat_client/models"))
        .unwrap()
        .count();
    assert!(models < 60, "{models}");
    here.bring("generated.py");
    assert_eq!(
        printed(here.command(tool("clients/venv/bin/python")).arg("generated.py")),
        STORY
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn openid_client_and_authlib_introspect_with_each_way_of_authentication() {
    let public = "https://seat.example.org";
    let app = App::start_with(|config| config.http.public_url = Some(public.to_owned())).await;
    let here = Workshop::open(&app).await;
    let (id, secret) = app.service("Payroll");
    let token = app.signed_in("grace").await.token.unwrap();
    for (program, name, told) in [
        (
            PathBuf::from("node"),
            "introspection.mjs",
            "true grace@example.org\n",
        ),
        (
            tool("clients/venv/bin/python"),
            "introspection.py",
            "True grace@example.org\n",
        ),
    ] {
        here.bring(name);
        let said = printed(
            here.command(program)
                .arg(name)
                .env("ONESEAT_PUBLIC_URL", public)
                .env("ONESEAT_SERVICE", &id)
                .env("ONESEAT_SECRET", &secret)
                .env("ONESEAT_TOKEN", &token),
        );
        assert_eq!(said, told.repeat(2), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_progenitor_makes_signs_in_asks_and_signs_out() {
    let app = App::start().await;
    let here = Workshop::open(&app).await;
    assert_eq!(printed(&mut here.command(rust_client(&here, "generated"))), STORY);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_crate_oauth2_introspects_and_reads_why_it_is_refused() {
    let app = App::start().await;
    let here = Workshop::open(&app).await;
    let (id, secret) = app.service("Payroll");
    let mut client = here.command(rust_client(&here, "introspection"));
    client
        .env("ONESEAT_SERVICE", &id)
        .env("ONESEAT_SECRET", &secret)
        .env("ONESEAT_TOKEN", app.signed_in("grace").await.token.unwrap());
    assert_eq!(
        printed(&mut client),
        "true grace@example.org\ninvalid_client\n".repeat(2)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_event_streams_hand_out_the_end_and_nothing_else() {
    let app = App::start().await;
    let here = Workshop::open(&app).await;
    for (program, name, told) in [
        (
            PathBuf::from("node"),
            "streams.mjs",
            r#"{"eventsource":[["ended","signed_out"]],"fetch-event-source":[["ended","signed_out"]]}"#,
        ),
        (
            tool("clients/venv/bin/python"),
            "streams.py",
            r#"[["ended", "signed_out"]]"#,
        ),
    ] {
        let ada = app.visitor().sign_in("ada@example.org").await;
        here.bring(name);
        let mut listening = here
            .command(program)
            .arg(name)
            .env("ONESEAT_TOKEN", ada.token.as_deref().unwrap())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        watch_command(&listening);
        let mut said = BufReader::new(listening.stdout.take().unwrap());
        let mut first = String::new();
        said.read_line(&mut first).unwrap();
        assert_eq!(first, "open\n");
        ada.logout().await;
        let mut rest = String::new();
        said.read_to_string(&mut rest).unwrap();
        assert!(listening.wait().unwrap().success());
        assert_eq!(rest.trim_end(), told);
    }
}

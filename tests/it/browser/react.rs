//! The React application among the examples, built as its README says.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use oneseat::users::Role;

use super::ADA;
use super::client_module::{Site, sign_in};
use crate::support::{App, Browser, PASSWORD, eventually};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Checks the types and builds the pages; returns the directory that holds both source and `dist`.
fn build() -> tempfile::TempDir {
    let example = Path::new(ROOT).join("examples/react");
    let dir = tempfile::tempdir().unwrap();
    for name in ["index.html", "package.json", "tsconfig.json", "vite.config.ts"] {
        std::fs::copy(example.join(name), dir.path().join(name)).unwrap();
    }
    std::fs::create_dir(dir.path().join("src")).unwrap();
    for entry in std::fs::read_dir(example.join("src")).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), dir.path().join("src").join(entry.file_name())).unwrap();
    }
    let installed = Path::new(ROOT).join("target/tools/react/examples/react/node_modules");
    symlink(installed, dir.path().join("node_modules")).unwrap();
    let built = Command::new("npm")
        .args(["run", "build"])
        .current_dir(dir.path())
        .output()
        .unwrap();
    assert!(
        built.status.success(),
        "{}{}",
        String::from_utf8_lossy(&built.stdout),
        String::from_utf8_lossy(&built.stderr)
    );
    dir
}

#[tokio::test]
async fn a_react_application_signs_in_protects_its_page_loses_the_seat_by_a_reload_and_to_another_browser() {
    let built = build();
    let site = Site::start();
    let origin = site.origin();
    let app = App::start_with(|config| config.http.cors_origins = vec![origin]).await;
    app.add_user("ada", Role::User).await;
    site.show(&built.path().join("dist"), app.address);

    let page = Browser::open(site.address, "/").await;
    page.wait_for_words("Take the seat").await;
    assert_eq!(page.path().await, "/login");
    sign_in(&page, "not the password of ada").await;
    page.wait_for_words("Invalid credentials").await;
    sign_in(&page, PASSWORD).await;
    page.wait_for_words("This is the seat of ada.").await;
    page.wait_for_words("from 127.0.0.1.").await;
    assert_eq!(page.path().await, "/");

    page.page.refresh().await.unwrap();
    page.wait_for_words("Take the seat").await;
    assert_eq!(page.path().await, "/login");
    eventually("the server knows", async || app.sessions() == 0).await;

    sign_in(&page, PASSWORD).await;
    page.wait_for_words("This is the seat of ada.").await;
    let elsewhere = Browser::open(app.address, "/login").await;
    elsewhere.sign_in(ADA).await;
    page.wait_for_words("You signed in somewhere else").await;
    assert_eq!(page.path().await, "/login");

    sign_in(&page, PASSWORD).await;
    page.wait_for_words("from 127.0.0.1.").await;
    page.click("section button").await;
    page.wait_for_words("You are signed out.").await;
    eventually("the server knows", async || app.sessions() == 0).await;
}

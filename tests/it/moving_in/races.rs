//! Two imports at the same time.

use serde_json::json;

use super::file;
use crate::support::{App, begun};

const ROWS: usize = 3_000;

#[tokio::test]
async fn two_imports_of_the_same_people_make_each_account_once() {
    let app = App::start().await;
    let row = |number: usize| {
        let row = json!({ "email": format!("user{number}@example.org"), "name": format!("User {number}") });
        // A bad row in the middle makes each half of a batch a transaction of its own.
        let bad = json!({ "email": format!("bad{number}@example.org"), "created": "0000-01-01 00:00:00" });
        if number.is_multiple_of(700) {
            format!("{row}\n{bad}\n")
        } else {
            format!("{row}\n")
        }
    };
    let forwards: String = (0..ROWS).map(row).collect();
    let backwards: String = (0..ROWS).rev().map(row).collect();
    let files = [forwards, backwards].map(|text| file("users.jsonl", &text));
    let imports = files.each_ref().map(|(_, path)| {
        let args = [
            "user",
            "import",
            path.to_str().unwrap(),
            "--database-url",
            app.database().url(),
        ];
        let mut import = begun(&args, &[]);
        import.stdin.take();
        import
    });
    let mut added = 0;
    for import in imports {
        let output = import.wait_with_output().unwrap();
        let out = String::from_utf8(output.stdout).unwrap();
        let sum = out.lines().last().unwrap();
        assert!(
            sum.ends_with("left as they are 0, refused 5"),
            "{out} {:?}",
            String::from_utf8(output.stderr)
        );
        let count = sum.strip_prefix("added ").unwrap().split(',').next().unwrap();
        added += count.parse::<usize>().unwrap();
    }
    assert_eq!(added, ROWS);
    assert_eq!(
        app.database().number("select count(*) from users"),
        i64::try_from(ROWS).unwrap()
    );
}

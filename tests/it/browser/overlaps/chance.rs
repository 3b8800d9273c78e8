//! Random sequences of calls, for cases that nobody thought of.

use serde_json::json;

use crate::browser::app_with_ada;
use crate::support::Browser;

#[tokio::test]
async fn whatever_is_asked_for_and_however_it_is_answered_one_live_session_is_held_or_none() {
    const RUNS: u32 = 3_000;
    let app = app_with_ada().await;
    let browser = Browser::open(app.address, "/forgot").await;
    let script = format!(
        "{}
         window.addEventListener('error', (event) => event.preventDefault());
         import('/static/oneseat.js')
             .then(({{ Oneseat }}) => interleavings(Oneseat, 1, {RUNS}))
             .then((result) => {{ window.result = result; }}, (error) => {{ window.result = {{ wrong: [String(error.stack)], tried: {{}} }}; }});",
        include_str!("interleavings.js")
    );
    browser.run(&script).await;
    assert!(browser.wait_until("return 'result' in window").await);
    let result = browser.run("return result").await;
    assert_eq!(result["wrong"], json!([]));
    // Chance has tried everything, and often.
    for act in [
        "signIn",
        "wrong",
        "signOut",
        "hide",
        "show",
        "elsewhere",
        "work",
        "deliver",
        "cut",
        "tell",
        "busy",
        "odd",
        "pass",
        "opened",
        "SessionEnded",
        "Problem",
        "TypeError",
        "holding",
        "empty",
    ] {
        assert!(result["tried"][act].as_u64() >= Some(100), "{act}: {result}");
    }
}

//! With the client that progenitor makes of `/openapi-3.0.json`.

use std::env::var;
use std::error::Error;

use client::{Client, Error as Refused, types};
use futures_util::TryStreamExt;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};

#[expect(dead_code, unused_imports, reason = "generated")]
mod client {
    include!(concat!(env!("OUT_DIR"), "/client.rs"));
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = var("ONESEAT_URL")?;
    let (email, password) = (var("ONESEAT_EMAIL")?, var("ONESEAT_PASSWORD")?);
    let visitor = Client::new(&url);
    let login = visitor
        .login()
        .body_map(|body| body.email(email).password(password));
    let signed_in = login.send().await?.into_inner();

    let mut bearer = HeaderValue::from_str(&format!("Bearer {}", signed_in.token.as_str()))?;
    bearer.set_sensitive(true);
    let headers = HeaderMap::from_iter([(AUTHORIZATION, bearer)]);
    let with_token = reqwest::Client::builder().default_headers(headers).build()?;
    let client = Client::new_with_client(&url, with_token);
    let told = client.session().send().await?.into_inner();
    println!("told: {} {}", told.user.email, told.user.role);
    client.logout().body_map(|body| body).send().await?;

    let Err(Refused::ErrorResponse(refused)) = client.session().send().await else {
        return Err("an ended session was not refused".into());
    };
    // progenitor gives types to answers of application/json alone: a problem comes as bytes.
    let bytes: Vec<_> = refused.into_inner().into_inner().try_collect().await?;
    let problem: types::Problem = serde_json::from_slice(&bytes.concat())?;
    println!("refused: {} {}", problem.code, problem.reason.ok_or("no reason")?);
    Ok(())
}

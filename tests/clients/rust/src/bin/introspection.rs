//! The crate oauth2: introspects with each way of authentication.

use std::env::var;
use std::error::Error;

use oauth2::basic::BasicClient;
use oauth2::{
    AccessToken, AuthType, ClientId, ClientSecret, HttpRequest, HttpResponse, IntrospectionUrl,
    RequestTokenError, TokenIntrospectionResponse,
};

async fn send(request: HttpRequest) -> Result<HttpResponse, reqwest::Error> {
    let answer = reqwest::Client::new().execute(request.try_into()?).await?;
    let mut response = HttpResponse::default();
    *response.status_mut() = answer.status();
    *response.headers_mut() = answer.headers().clone();
    *response.body_mut() = answer.bytes().await?.to_vec();
    Ok(response)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let endpoint = IntrospectionUrl::new(format!("{}/auth/introspect", var("ONESEAT_URL")?))?;
    let token = AccessToken::new(var("ONESEAT_TOKEN")?);
    let service = |id: String| -> Result<_, std::env::VarError> {
        let secret = ClientSecret::new(var("ONESEAT_SECRET")?);
        let client = BasicClient::new(ClientId::new(id)).set_client_secret(secret);
        Ok(client.set_introspection_url(endpoint.clone()))
    };
    for way in [AuthType::BasicAuth, AuthType::RequestBody] {
        let known = service(var("ONESEAT_SERVICE")?)?.set_auth_type(way.clone());
        let told = known.introspect(&token).request_async(&send).await?;
        println!("{} {}", told.active(), told.username().unwrap_or_default());
        // Nearly every sign of its id has to be encoded.
        let unknown = service("ü: &=+%/".to_owned())?.set_auth_type(way);
        match unknown.introspect(&token).request_async(&send).await {
            Err(RequestTokenError::ServerResponse(refused)) => println!("{}", refused.error()),
            other => return Err(format!("an unknown service got {other:?}").into()),
        }
    }
    Ok(())
}

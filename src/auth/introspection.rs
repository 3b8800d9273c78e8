//! Token introspection for services (RFC 7662), and the services themselves.

use uuid::Uuid;

use super::audit::{self, Event};
use super::{Activity, Auth, Error, Seat};
use crate::sessions::Origin;
use crate::token::Token;
use crate::users::Name;
use crate::users::service_client::{self, ServiceClient};

impl Auth {
    /// The seat of a token, if it has one, for a service with the right id and secret. The service cannot
    /// tell why a token is not live.
    ///
    /// # Errors
    /// [`Error::ClientUnknown`]; [`Error::Busy`], [`Error::Unavailable`].
    pub async fn introspect(
        &self,
        (client, secret): (Uuid, Token),
        token: Option<Token>,
        activity: Activity,
        origin: Origin,
    ) -> Result<Option<Seat>, Error> {
        let (digest, place) = (secret.digest(), origin.clone());
        self.run(move |conn| {
            if !service_client::is_known(conn, client, &digest)? {
                audit::client_refused(client, &place);
                return Err(Error::ClientUnknown);
            }
            Ok(())
        })
        .await?;
        let Some(token) = token else {
            return Ok(None);
        };
        match self.validate(&token, activity).await {
            Ok(seat) => Ok(Some(seat)),
            Err(Error::TokenInvalid) => Ok(None),
            Err(Error::SessionEnded(ending)) => {
                audit::shown_after_end(client, &ending, &origin);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Adds a service. Returns its secret in clear, this once.
    ///
    /// # Errors
    /// [`Error::NameTaken`]; [`Error::Unavailable`].
    pub async fn add_client(&self, name: Name) -> Result<(ServiceClient, Token), Error> {
        let secret = Token::generate()?;
        let digest = secret.digest();
        let client = self
            .run(move |conn| {
                let client = service_client::create(conn, &name, &digest)?
                    .ok_or_else(|| Error::NameTaken(name.to_string()))?;
                audit::client_changed(Event::ClientCreated, &client.name);
                Ok(client)
            })
            .await?;
        Ok((client, secret))
    }

    /// Every service, by name.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn clients(&self) -> Result<Vec<ServiceClient>, Error> {
        self.query(service_client::list).await
    }

    /// Removes a service.
    ///
    /// # Errors
    /// [`Error::NoSuchClient`]; [`Error::Unavailable`].
    pub async fn remove_client(&self, name: Name) -> Result<(), Error> {
        self.run(move |conn| {
            if !service_client::remove(conn, &name)? {
                return Err(Error::NoSuchClient(name.to_string()));
            }
            audit::client_changed(Event::ClientDeleted, name.as_str());
            Ok(())
        })
        .await
    }
}

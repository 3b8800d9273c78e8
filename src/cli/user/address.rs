//! `oneseat user address`

use super::arguments::SetAddress;
use super::of_flag;
use crate::auth::Authority;
use crate::auth::address::{Change, NewAddress};
use crate::cli::{Failure, open_to_add, output};
use crate::config;
use crate::users::Email;

impl SetAddress {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let is_mailed = !self.no_mail;
        let takes_utf8 = config::takes_utf8_addresses(&self.reach, is_mailed)?;
        let (auth, _opened) = open_to_add(config::database(&self.database)?, takes_utf8).await?;
        let new = NewAddress {
            email: self.email,
            is_verified: self.verified,
            is_mailed,
        };
        let (account, change) = auth
            .set_email(
                self.whom.clone(),
                new,
                Authority::Operator,
                of_flag(self.last_admin),
            )
            .await
            .map_err(Failure::failed)?;
        if change == Change::Nothing {
            return output::line(format_args!(
                "{} has this address already; nothing was changed",
                self.whom
            ));
        }
        let user = account.user;
        let email = Email::stored(&user.email);
        output::line(format_args!("{} has the address {email} now", self.whom))?;
        if is_mailed {
            output::line("the mails about it are sent by a running `oneseat serve`")?;
        }
        if !user.email_verified {
            output::line(format_args!(
                "not verified yet, so not able to sign in again: oneseat user verify {email}"
            ))?;
        }
        Ok(())
    }
}

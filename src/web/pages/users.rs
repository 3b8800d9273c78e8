//! Accounts, for admins.

use actix_web::web::Data;
use actix_web::{HttpRequest, Responder};
use askama::Template;
use uuid::Uuid;

use super::admin::Pages;
use super::moment::Moment;
use super::session_times::SessionTimes;
use super::{AdminPage, Page};
use crate::auth::Auth;
use crate::auth::lists::{Account, List, Undelivered};
use crate::shown as filters;
use crate::users::{AccountState, Role};
use crate::web::extract::list_query::ListQuery;
use crate::web::problem::Problem;

struct AccountRow {
    id: Uuid,
    name: String,
    email: String,
    is_admin: bool,
    is_own: bool,
    state: AccountState,
    is_signed_in: bool,
    locked_until: Option<Moment>,
    undelivered: Option<UndeliveredMail>,
    created: Moment,
}

/// A mail that was given up.
struct UndeliveredMail {
    what: &'static str,
    reason: String,
    given_up: Moment,
}

impl From<Undelivered> for UndeliveredMail {
    fn from(mail: Undelivered) -> Self {
        Self {
            what: mail.kind.in_words(),
            reason: mail.reason,
            given_up: Moment(mail.given_up_at),
        }
    }
}

#[derive(Template)]
#[template(path = "admin_users.html")]
struct UsersPage {
    page: &'static str,
    is_admin: bool,
    times: SessionTimes,
    q: String,
    total: i64,
    /// How many of `total` were made since the first page.
    newer: i64,
    rows: Vec<AccountRow>,
    pages: Pages,
}

impl AccountRow {
    fn badges(&self) -> impl Iterator<Item = &'static str> {
        [(self.is_admin, "Admin"), (self.is_own, "You")]
            .into_iter()
            .filter_map(|(applies, badge)| applies.then_some(badge))
    }

    /// The words of the button that mails a link to choose a password.
    fn mail_words(&self) -> &'static str {
        match self.state {
            AccountState::Invited => "Invite again",
            AccountState::NoPassword => "Invite",
            AccountState::Active | AccountState::Unverified | AccountState::Disabled => "Send reset",
        }
    }

    fn new(account: Account, own: Uuid) -> Self {
        Self {
            state: account.state(),
            id: account.user.id,
            name: account.user.name,
            email: account.user.email,
            is_admin: account.user.role == Role::Admin,
            is_own: account.user.id == own,
            is_signed_in: account.session.is_some(),
            locked_until: account.locked_until.map(Moment),
            undelivered: account.undelivered.map(UndeliveredMail::from),
            created: Moment(account.user.created_at),
        }
    }
}

/// All accounts, with what an admin can do for them.
pub async fn users(
    admin: AdminPage,
    auth: Data<Auth>,
    request: HttpRequest,
) -> Result<impl Responder, Problem> {
    let query = ListQuery::of(&request)?;
    let list = query.understood(List::Users)?;
    let found = auth.find_accounts(list.search, list.position, list.limit).await?;
    let own = admin.0.user.id;
    let pages = Pages::of("/admin/users", query.q(), None, list.position, &found.page);
    Ok(Page(UsersPage {
        page: "users",
        is_admin: true,
        times: SessionTimes::of(&admin.0, &auth),
        q: query.q().to_owned(),
        total: found.total,
        newer: found.newer,
        rows: found
            .page
            .rows
            .into_iter()
            .map(|account| AccountRow::new(account, own))
            .collect(),
        pages,
    }))
}

//! Accounts, for admins.

use actix_web::web::Data;
use actix_web::{HttpRequest, Responder};
use askama::Template;
use uuid::Uuid;

use super::admin::link;
use super::moment::Moment;
use super::session_times::SessionTimes;
use super::{AdminPage, Page};
use crate::auth::Auth;
use crate::auth::lists::Account;
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
    created: Moment,
}

#[derive(Template)]
#[template(path = "admin_users.html")]
struct UsersPage {
    page: &'static str,
    is_admin: bool,
    times: SessionTimes,
    sends_mail: bool,
    q: String,
    total: i64,
    rows: Vec<AccountRow>,
    next: Option<String>,
}

impl AccountRow {
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
    let list = query.understood()?;
    let total = auth.count_accounts(list.search.clone()).await?;
    let page = auth.accounts(list.search, list.after, list.limit).await?;
    let own = admin.0.user.id;
    Ok(Page(UsersPage {
        page: "users",
        is_admin: true,
        times: SessionTimes::of(&admin.0, &auth),
        sends_mail: auth.sends_mail(),
        q: query.q().to_owned(),
        total,
        rows: page
            .rows
            .into_iter()
            .map(|account| AccountRow::new(account, own))
            .collect(),
        next: page.next.map(|next| link("/admin/users", query.q(), None, &next)),
    }))
}

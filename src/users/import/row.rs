//! What the columns of a row may hold.

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use serde_json::Value;

use super::ImportedUser;
use crate::users::{Email, PasswordHash, Role};
use crate::words::words;

words! {
    /// The columns of CSV, and the fields of an object in JSON.
    pub(super) enum Column {
        /// The address. It is the only required column.
        Email = "email",
        /// The name.
        Name = "name",
        /// `user` or `admin`; by default `user`.
        Role = "role",
        /// Whether the address is known to be the user's; by default it is not.
        Verified = "verified",
        /// Whether the user may not sign in; by default they may.
        Disabled = "disabled",
        /// When the account was made.
        Created = "created",
        /// The password's hash.
        Hash = "hash",
    }
}

/// The names of the columns.
pub const COLUMNS: [&str; 7] = {
    let mut names = [""; 7];
    let mut at = 0;
    while at < names.len() {
        names[at] = Column::ALL[at].as_str();
        at += 1;
    }
    names
};

/// The error for bytes that are not text, and the remedy.
pub(super) const NOT_UTF_8: &str = "not UTF-8: save the file as UTF-8";

/// Formats of a time without an offset, which is UTC: those of MySQL, of ISO 8601 and of directories.
const WITHOUT_OFFSET: [&str; 3] = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y%m%d%H%M%SZ"];

/// The values of a row. An empty value counts as missing.
#[derive(Default)]
pub(super) struct Values {
    email: Option<String>,
    name: Option<String>,
    role: Option<Role>,
    verified: bool,
    disabled: bool,
    created: Option<DateTime<Utc>>,
    hash: Option<PasswordHash>,
}

impl Values {
    /// Sets the value of a column.
    pub(super) fn set(&mut self, column: Column, value: Value) -> Result<(), String> {
        if value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty()) {
            return Ok(());
        }
        match column {
            Column::Email => self.email = Some(text(column, value)?),
            Column::Name => self.name = Some(text(column, value)?),
            Column::Role => self.role = Some(role(&text(column, value)?)?),
            Column::Verified => self.verified = flag(column, &value)?,
            Column::Disabled => self.disabled = flag(column, &value)?,
            Column::Created => self.created = Some(time(&text(column, value)?)?),
            Column::Hash => self.hash = Some(hash(value)?),
        }
        Ok(())
    }

    pub(super) fn user(self) -> Result<ImportedUser, String> {
        let email = self.email.ok_or("email is missing")?;
        let email = Email::of_new_account(&email).map_err(|error| error.to_string())?;
        let name = self.name.as_deref().unwrap_or_else(|| local_part(&email));
        Ok(ImportedUser {
            name: name.parse().map_err(|error| format!("{error}"))?,
            email,
            role: self.role.unwrap_or(Role::User),
            email_verified: self.verified,
            is_disabled: self.disabled,
            created_at: self.created,
            password_hash: self.hash,
        })
    }
}

fn local_part(email: &Email) -> &str {
    email.as_str().rsplit_once('@').map_or("", |(local, _)| local)
}

fn text(column: Column, value: Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text),
        _ => Err(format!("{column} must be text")),
    }
}

fn role(text: &str) -> Result<Role, String> {
    text.trim()
        .parse()
        .map_err(|words: String| format!("role {words}"))
}

/// Reads a flag as JSON, PostgreSQL, MySQL or spreadsheets write it.
fn flag(column: Column, value: &Value) -> Result<bool, String> {
    let text = match value {
        Value::Bool(flag) => return Ok(*flag),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.trim().to_ascii_lowercase(),
        _ => String::new(),
    };
    match &*text {
        "true" | "t" | "yes" | "1" => Ok(true),
        "false" | "f" | "no" | "0" => Ok(false),
        _ => Err(format!("{column} must be true or false")),
    }
}

fn time(text: &str) -> Result<DateTime<Utc>, String> {
    let text = text.trim();
    let with_offset = DateTime::parse_from_rfc3339(text)
        .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f%#z"));
    let time = with_offset.map(|time| time.to_utc()).ok();
    let time = time.or_else(|| {
        let mut forms = WITHOUT_OFFSET.iter();
        forms.find_map(|form| Some(NaiveDateTime::parse_from_str(text, form).ok()?.and_utc()))
    });
    let time = time.or_else(|| Some(text.parse::<NaiveDate>().ok()?.and_hms_opt(0, 0, 0)?.and_utc()));
    let time = time.ok_or("created must be a time like 2024-05-01T12:00:00Z")?;
    if time > Utc::now() {
        return Err("created must not lie in the future".to_owned());
    }
    Ok(time)
}

/// Reads a hash: text, or an object of Keycloak's, which is kept as JSON text.
fn hash(value: Value) -> Result<PasswordHash, String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Object(_) => value.to_string(),
        _ => return Err("hash must be text, or an object of Keycloak's".to_owned()),
    };
    PasswordHash::imported(text).map_err(|error| format!("the hash is of no use: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_databases_and_directories_write_them() {
        for text in [
            "2024-05-01T12:00:00Z",
            "2024-05-01T14:00:00+02:00",
            "2024-05-01 12:00:00+00",
            "2024-05-01 14:00:00.000000+02",
            "2024-05-01 12:00:00",
            "2024-05-01T12:00:00.000",
            "20240501120000Z",
        ] {
            assert_eq!(
                time(text).unwrap().to_rfc3339(),
                "2024-05-01T12:00:00+00:00",
                "{text}"
            );
        }
        assert_eq!(
            time("2024-05-01").unwrap().to_rfc3339(),
            "2024-05-01T00:00:00+00:00"
        );
        for text in [
            "yesterday",
            "2024-13-01",
            "1714564800",
            "2024-05-01 25:00:00",
            "9999-01-01",
        ] {
            assert!(time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn flags_are_read_as_databases_and_spreadsheets_write_them() {
        let read = |value: Value| flag(Column::Verified, &value);
        for yes in [
            Value::Bool(true),
            1.into(),
            "t".into(),
            "TRUE".into(),
            "1".into(),
            "yes".into(),
        ] {
            assert_eq!(read(yes), Ok(true));
        }
        for no in [
            Value::Bool(false),
            0.into(),
            "f".into(),
            "False".into(),
            "0".into(),
            "no".into(),
        ] {
            assert_eq!(read(no), Ok(false));
        }
        for neither in [2.into(), "maybe".into(), Value::Array(Vec::new())] {
            assert!(read(neither).is_err());
        }
    }
}

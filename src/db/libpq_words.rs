//! What libpq says of a connection that it could not open, in one sentence without secrets.

use super::Unavailable;
use crate::redaction::Secrets;

/// Makes the error of libpq's words. The connection string had these credentials.
pub(super) fn unavailable(words: &str, credentials: &Secrets) -> Unavailable {
    if is_of_a_server(words) {
        Unavailable::without(credentials, &in_one_sentence(words))
    } else if words.contains(NAME_UNKNOWN) {
        // These words repeat the name of the host. If the password is not percent-encoded, that is a part of it.
        Unavailable(HOST_UNKNOWN.to_owned())
    } else {
        Unavailable(UNREADABLE.to_owned())
    }
}

/// libpq's words for a host that no name service knows.
const NAME_UNKNOWN: &str = "could not translate host name";
const HOST_UNKNOWN: &str = "the host in the connection string has no address that can be found; check how it is written \
     and the name service (special characters in a password must be percent-encoded)";

/// Joins libpq's words for each address that it has tried with semicolons. libpq adds a question to each of them,
/// which is kept only if there is a single address.
fn in_one_sentence(words: &str) -> String {
    let lines = words.lines().filter(|line| !line.trim().is_empty());
    let (questions, facts): (Vec<&str>, Vec<&str>) =
        lines.partition(|line| line.starts_with('\t') && line.ends_with('?'));
    let fact = |line: &'_ str| match line.contains(NAME_UNKNOWN) {
        true => "a host has no address that can be found".to_owned(),
        false => line.trim().to_owned(),
    };
    let facts: Vec<String> = facts.into_iter().map(fact).collect();
    match (&facts[..], &questions[..]) {
        ([fact], [question]) => format!("{fact} ({})", question.trim()),
        _ => facts.join("; "),
    }
}

pub(super) const UNREADABLE: &str = "the connection string cannot be used; write it like postgres://user@host/database, \
     with special characters percent-encoded";

/// Whether these words come from a server or the network. libpq's words about an unreadable string repeat parts of
/// it, and a part may be a password.
fn is_of_a_server(words: &str) -> bool {
    let starts = [
        "connection to server",
        "could not connect to server",
        "FATAL:",
        "timeout expired",
    ];
    starts.iter().any(|start| words.contains(start))
}

#[cfg(test)]
mod tests {
    use super::in_one_sentence;

    #[test]
    fn what_libpq_says_of_several_addresses_is_one_sentence() {
        let refused = |host| {
            format!(
                "connection to server at \"{host}\", port 1 failed: Connection refused\n\tIs the server running on that host and accepting TCP/IP connections?\n"
            )
        };
        let fact = |host| format!("connection to server at \"{host}\", port 1 failed: Connection refused");
        assert_eq!(
            in_one_sentence(&refused("::1")),
            format!(
                "{} (Is the server running on that host and accepting TCP/IP connections?)",
                fact("::1")
            )
        );
        let several = format!(
            "{}{}could not translate host name \"canary\" to address: Unknown\n",
            refused("::1"),
            refused("127.0.0.1")
        );
        assert_eq!(
            in_one_sentence(&several),
            format!(
                "{}; {}; a host has no address that can be found",
                fact("::1"),
                fact("127.0.0.1")
            )
        );
    }
}

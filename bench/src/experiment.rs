//! The names of the experiments.

use clap::ValueEnum;
use serde::Serialize;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "camelCase")]
pub enum Experiment {
    /// Validation compared with a bare handler, one query for each request, pgbench, and the peers
    Validation,
    /// Statements that PostgreSQL sees for validations
    Statements,
    /// Validation over more and more sessions
    Scale,
    /// Sign-in compared with Argon2id alone
    Login,
    /// Sign-ins in PostgreSQL, with the feed and without
    Feed,
    /// How long a sign-out takes
    SignOut,
    /// Validation while many sign in
    Storm,
    /// Validation while expired sessions are swept
    Sweep,
    /// The program's memory, idle and at work
    Memory,
}

impl Experiment {
    pub const ALL: [Self; 9] = [
        Self::Validation,
        Self::Statements,
        Self::Scale,
        Self::Login,
        Self::Feed,
        Self::SignOut,
        Self::Storm,
        Self::Sweep,
        Self::Memory,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Validation => "validation",
            Self::Statements => "statements",
            Self::Scale => "scale",
            Self::Login => "login",
            Self::Feed => "feed",
            Self::SignOut => "sign-out",
            Self::Storm => "storm",
            Self::Sweep => "sweep",
            Self::Memory => "memory",
        }
    }
}

//! The specification: one user's seat with one caller at a time, in fifty lines.
//!
//! The database records why a session ended, and the record never changes. So the model is told beforehand
//! how each session will end, and refuses to end it in any other way: what the database says at the end must
//! be true at every moment.

use std::collections::HashMap;
use std::fmt;

use oneseat::sessions::EndReason;

use super::checker::Model;

/// The number of a sign-in. It identifies the session and the token that it created, so that no token is ever
/// printed.
pub type Number = usize;

/// What a caller did, with its outcome.
#[derive(Clone, Debug, PartialEq)]
pub enum Deed {
    /// Took the seat.
    SignedIn {
        token: Number,
        password: usize,
    },
    /// Was refused with `invalid_credentials`.
    WrongPassword {
        password: usize,
    },
    /// Was refused with `account_disabled`.
    RefusedAsDisabled {
        password: usize,
    },
    /// The token was accepted.
    Accepted {
        token: Number,
    },
    /// The token was refused.
    Refused {
        token: Number,
        end: End,
    },
    /// Ended a live session.
    Ended {
        whose: Whose,
        end: End,
    },
    /// Found no live session to end.
    FoundNone {
        whose: Whose,
    },
    /// Ended the session of every user.
    EndedAll,
    /// Set a password, and ended the session.
    PasswordSet {
        password: usize,
    },
    /// Disabled the account, and ended the session.
    Disabled,
    Enabled,
    /// Looked into the database after the run.
    Saw {
        seat: Option<Number>,
    },
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The server keeps the reason.
    For(EndReason),
    /// An operator deleted the row: nothing is known about the token any more.
    Removed,
}

/// Which session was to be ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Whose {
    Token(Number),
    User,
}

/// The seat at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct State {
    seat: Option<Number>,
    password: usize,
    is_disabled: bool,
}

/// One user, with how each session in the database ended. `None`: it is live.
#[derive(Debug, Default)]
pub struct Seat {
    pub fates: HashMap<Number, Option<End>>,
}

impl Seat {
    fn end(&self, state: &State, end: End) -> Option<State> {
        match state.seat {
            Some(token) if self.fates.get(&token) != Some(&Some(end)) => None,
            Some(_) | None => Some(State { seat: None, ..*state }),
        }
    }
}

impl Model for Seat {
    type State = State;
    type Deed = Deed;

    fn initial(&self) -> State {
        State {
            seat: None,
            password: 0,
            is_disabled: false,
        }
    }

    fn after(&self, state: &State, deed: &Deed) -> Option<State> {
        let unchanged_if = |is_so: bool| is_so.then_some(*state);
        match *deed {
            Deed::SignedIn { token, password } => {
                let may = password == state.password && !state.is_disabled;
                let free = may
                    .then(|| self.end(state, End::For(EndReason::Replaced)))
                    .flatten()?;
                Some(State {
                    seat: Some(token),
                    ..free
                })
            }
            Deed::WrongPassword { password } => unchanged_if(password != state.password),
            Deed::RefusedAsDisabled { password } => {
                unchanged_if(password == state.password && state.is_disabled)
            }
            Deed::Accepted { token } => unchanged_if(state.seat == Some(token)),
            Deed::Refused { token, end } => {
                unchanged_if(state.seat != Some(token) && self.fates.get(&token) == Some(&Some(end)))
            }
            Deed::Ended { whose, end } => {
                let is_there = match whose {
                    Whose::Token(token) => state.seat == Some(token),
                    Whose::User => state.seat.is_some(),
                };
                is_there.then(|| self.end(state, end)).flatten()
            }
            Deed::FoundNone { whose } => unchanged_if(match whose {
                Whose::Token(token) => state.seat != Some(token),
                Whose::User => state.seat.is_none(),
            }),
            Deed::EndedAll => self.end(state, End::For(EndReason::Revoked)),
            Deed::PasswordSet { password } => {
                let free = self.end(state, End::For(EndReason::PasswordChanged))?;
                Some(State { password, ..free })
            }
            Deed::Disabled => {
                let free = self.end(state, End::For(EndReason::AccountDisabled))?;
                Some(State {
                    is_disabled: true,
                    ..free
                })
            }
            Deed::Enabled => Some(State {
                is_disabled: false,
                ..*state
            }),
            Deed::Saw { seat } => unchanged_if(state.seat == seat),
        }
    }

    fn is_look(&self, deed: &Deed) -> bool {
        !deed.is_change()
    }

    fn is_spent(&self, state: &State, deed: &Deed) -> bool {
        // A session that is not live never becomes live again, and it was live before any call could ask for
        // its end.
        matches!(deed, Deed::Ended { whose: Whose::Token(token), .. } if state.seat != Some(*token))
    }
}

impl State {
    /// The live session.
    pub fn seat(&self) -> Option<Number> {
        self.seat
    }
}

impl Deed {
    /// The session that the call is about, if it is about one.
    pub fn token(&self) -> Option<Number> {
        match *self {
            Self::SignedIn { token, .. }
            | Self::Accepted { token }
            | Self::Refused { token, .. }
            | Self::Ended {
                whose: Whose::Token(token),
                ..
            }
            | Self::FoundNone {
                whose: Whose::Token(token),
            } => Some(token),
            Self::Saw { seat } => seat,
            Self::WrongPassword { .. }
            | Self::RefusedAsDisabled { .. }
            | Self::Ended {
                whose: Whose::User, ..
            }
            | Self::FoundNone { whose: Whose::User }
            | Self::EndedAll
            | Self::PasswordSet { .. }
            | Self::Disabled
            | Self::Enabled => None,
        }
    }

    /// Can the call change anything?
    pub fn is_change(&self) -> bool {
        match self {
            Self::SignedIn { .. }
            | Self::Ended { .. }
            | Self::EndedAll
            | Self::PasswordSet { .. }
            | Self::Disabled
            | Self::Enabled => true,
            Self::WrongPassword { .. }
            | Self::RefusedAsDisabled { .. }
            | Self::Accepted { .. }
            | Self::Refused { .. }
            | Self::FoundNone { .. }
            | Self::Saw { .. } => false,
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::For(reason) => write!(f, "{reason}"),
            Self::Removed => f.write_str("its row deleted"),
        }
    }
}

impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(token) => write!(f, "session #{token}"),
            Self::User => f.write_str("whatever session there is"),
        }
    }
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SignedIn { token, password } => write!(f, "sign in, password {password}: session #{token}"),
            Self::WrongPassword { password } => {
                write!(f, "sign in, password {password}: invalid_credentials")
            }
            Self::RefusedAsDisabled { password } => {
                write!(f, "sign in, password {password}: account_disabled")
            }
            Self::Accepted { token } => write!(f, "show token #{token}: accepted"),
            Self::Refused { token, end } => match end {
                End::For(reason) => write!(f, "show token #{token}: session_ended, {reason}"),
                End::Removed => write!(f, "show token #{token}: token_invalid"),
            },
            Self::Ended { whose, end } => write!(f, "end {whose}: {end}"),
            Self::FoundNone { whose } => write!(f, "end {whose}: none is live"),
            Self::EndedAll => f.write_str("end everybody's session"),
            Self::PasswordSet { password } => write!(f, "set password {password}"),
            Self::Disabled => f.write_str("disable"),
            Self::Enabled => f.write_str("enable"),
            Self::Saw { seat: Some(token) } => write!(f, "look into the database: session #{token} is live"),
            Self::Saw { seat: None } => f.write_str("look into the database: no live session"),
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.seat {
            Some(token) => write!(f, "session #{token} is live")?,
            None => f.write_str("no session is live")?,
        }
        let disabled = if self.is_disabled { ", disabled" } else { "" };
        write!(f, ", password {}{disabled}", self.password)
    }
}

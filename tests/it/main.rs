//! Every behaviour is tested through the real parts: real PostgreSQL, real HTTP, real browsers.
//!
//! One module for each area. `support` starts servers, databases, clients and browsers; each test has a
//! database of its own.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![expect(unreachable_pub, reason = "a test binary has no outside")]

mod accounts;
mod acknowledged;
mod acting;
mod address;
mod admin;
mod answers;
mod audit;
mod authorization;
mod boundaries;
mod browser;
mod clients;
mod clock;
mod commands;
mod connections;
mod defaults;
mod dependencies;
mod deposed;
mod docs;
mod embedded;
mod endings;
mod feed;
mod fields;
mod figures;
mod forward;
mod gateways;
mod history;
mod hostile;
mod http;
mod introspection;
mod limits;
mod lists;
mod lockout;
mod log;
mod manual;
mod meanwhile;
mod metrics;
mod model;
mod moving_in;
mod navigation;
mod notices;
mod notify;
mod openapi;
mod outage;
mod packaging;
mod page_end;
mod people;
mod pooler;
mod races;
mod ranges;
mod recovery;
mod refusals;
mod renewal;
mod restored;
mod round_trips;
mod safeguards;
mod schema;
mod searches;
mod sessions;
mod settings;
mod sign_in;
mod site;
mod start;
mod static_files;
mod support;
mod sweep;
mod takeover;
mod telling;
mod terminal;
mod timeouts;
mod timing;
mod typed_passwords;
mod validation;
mod values;

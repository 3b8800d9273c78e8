//! One of the peers that oneseat's benchmark compares it with: axum with tower-sessions and its PostgreSQL store.
//! The protocol of all peers is in `bench/peers/README.md`.

mod seed;
mod serve;
mod visit;

use std::error::Error;
use std::num::NonZero;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread::available_parallelism;

use clap::{Parser, ValueEnum};
use tower_sessions_sqlx_store::sqlx::PgPool;
use tower_sessions_sqlx_store::sqlx::postgres::PgPoolOptions;

#[derive(Parser)]
enum Command {
    /// Makes the store's table in an empty database, fills it, and writes the headers of some of its sessions.
    Seed {
        database_url: String,
        sessions: u32,
        headers_file: PathBuf,
    },
    /// Answers `GET /whoami` on 127.0.0.1 until SIGTERM, whose default action ends it.
    Serve {
        database_url: String,
        port: u16,
        /// Connections to PostgreSQL
        #[arg(long, default_value_t = 10)]
        pool_size: u32,
        /// Threads that serve HTTP [default: one for each processor]
        #[arg(long)]
        workers: Option<NonZero<usize>>,
        #[arg(long, value_enum, default_value_t)]
        setup: Setup,
    },
}

/// The set-ups; the `README.md` beside this peer's directory explains them.
#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Setup {
    /// As their documentation does it, and the user's row is read for each request, as axum-login does
    #[default]
    Documented,
    /// As few round trips as possible: only the session, over connections that are not tested first
    Tuned,
    /// As tuned, behind the library's own cache, which forgets an ended session only where it was ended
    Cached,
}

fn main() -> ExitCode {
    match run(Command::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peer-tower-sessions: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), Box<dyn Error>> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.enable_all();
    match command {
        Command::Seed {
            database_url,
            sessions,
            headers_file,
        } => runtime.build()?.block_on(async {
            let pool = connect(&database_url, 1, Setup::Documented).await?;
            seed::seed(&pool, sessions, &headers_file).await
        }),
        Command::Serve {
            database_url,
            port,
            pool_size,
            workers,
            setup,
        } => {
            let workers = workers.map_or_else(available_parallelism, Ok)?.get();
            runtime.worker_threads(workers).build()?.block_on(async {
                let pool = connect(&database_url, pool_size, setup).await?;
                serve::serve(pool, port, setup).await
            })
        }
    }
}

async fn connect(database_url: &str, size: u32, setup: Setup) -> Result<PgPool, Box<dyn Error>> {
    // The default of ten is sqlx's default, too.
    let options = PgPoolOptions::new().max_connections(size);
    let options = match setup {
        Setup::Documented => options,
        // By default sqlx tests a connection before each use: one more round trip per query.
        Setup::Tuned | Setup::Cached => options.min_connections(size).test_before_acquire(false),
    };
    Ok(options.connect(database_url).await?)
}

//! `stack up`, `stack down`, `stack status`: a broker and an Envoy with AckGuard, left running.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use stack::{BrokerOptions, Detached, Endpoints, Ports, Semantics, Workers};

/// A T-MQ broker behind a real Envoy, with AckGuard and without, left running on 127.0.0.1.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the stack and print its addresses.
    Up {
        /// The broker's behaviour.
        #[arg(long, value_enum, default_value = "legacy")]
        semantics: Semantics,
        /// Envoy's worker threads.
        #[arg(long, default_value_t = 2)]
        concurrency: u32,
    },
    /// End it.
    Down,
    /// Tell whether it runs.
    Status,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Arguments::parse().command).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("stack: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<ExitCode, Box<dyn Error>> {
    match command {
        Command::Up { semantics, concurrency } => {
            let ports = Ports::from_env(|variable| std::env::var(variable).ok())?;
            let options = BrokerOptions { semantics, ..BrokerOptions::default() };
            describe(&Detached::up(&folder(), &ports, options, Workers(concurrency)).await?);
            Ok(ExitCode::SUCCESS)
        }
        Command::Down => {
            match Detached::find(&folder()) {
                Some(stack) => {
                    stack.down().await?;
                    println!("The stack is down.");
                }
                None => println!("No stack runs."),
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Status => Ok(status()),
    }
}

fn folder() -> PathBuf {
    stack::root().join("target/stack")
}

fn describe(endpoints: &Endpoints) {
    let Endpoints { gateway, bare, envoy_admin, broker, broker_admin } = endpoints;
    println!("guarded gateway  http://{gateway}");
    println!("bare gateway     http://{bare}");
    println!("Envoy admin      http://{envoy_admin}");
    println!("broker           http://{broker}");
    println!("broker admin     http://{broker_admin}");
    println!("\nIts logs are in {}. A first message through the guarded gateway:", folder().display());
    println!("  curl -X PUT http://{gateway}/tmq/v1/topics/orders -d '{{\"partitions\":4}}'");
    println!("  curl http://{gateway}/tmq/v1/topics/orders/messages -d '{{\"messages\":[{{\"body\":\"hello\"}}]}}'");
    println!("A subscription with the setting that lost messages; `x-ackguard` tells what became of it:");
    println!(
        "  curl -i http://{gateway}/tmq/v1/groups/workers/consumers -d '{{\"topic\":\"orders\",\"ackTimeout\":0}}'"
    );
}

/// Prints each process; fails where one of them does not run.
fn status() -> ExitCode {
    let Some(stack) = Detached::find(&folder()) else {
        println!("No stack runs.");
        return ExitCode::FAILURE;
    };
    let mut code = ExitCode::SUCCESS;
    for (name, pid, running) in stack.processes() {
        println!("{name:<12} pid {pid:<8} {}", if running { "running" } else { "ended" });
        if !running {
            code = ExitCode::FAILURE;
        }
    }
    code
}

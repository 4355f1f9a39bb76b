//! `exchanges NAME N` lets one worker do an exchange N times; `exchanges --list` names all. It prints nothing else, so that
//! a counter of instructions sees little beside the exchanges.

use std::process::ExitCode;

use dlmalloc::GlobalDlmalloc;
use native_bench::exchanges::Exchange;

/// The filter's own: its instructions are those of every machine, whichever C library that has.
#[global_allocator]
static ALLOCATOR: GlobalDlmalloc = GlobalDlmalloc;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["--list"] => {
            for exchange in Exchange::ALL {
                println!("{}", exchange.name);
            }
            ExitCode::SUCCESS
        }
        [name, times] => match (Exchange::named(name), times.parse()) {
            (Some(exchange), Ok(times)) => {
                exchange.run(times);
                ExitCode::SUCCESS
            }
            _ => usage(),
        },
        _ => usage(),
    }
}

fn usage() -> ExitCode {
    eprintln!("exchanges NAME N | exchanges --list");
    ExitCode::from(2)
}

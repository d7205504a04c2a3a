//! The `rollcall` program: only wires.

use std::process::ExitCode;

fn main() -> ExitCode {
    rollcall_server::cli::run(std::env::args_os())
}

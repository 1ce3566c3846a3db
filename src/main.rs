//! Start-up: the crypto provider, the command line, a runtime, and an exit code.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    // One implementation for all connections, before any is made. It fails only if one is there already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cli = chatferry::cli::Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let failure = chatferry::cli::Failure::said(
                format!("chatferry: no runtime: {error}"),
                chatferry::cli::exit::INTERNAL,
            );
            return failure.report();
        }
    };
    match runtime.block_on(cli.run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

//! `ayni-runner`: started by the daemon, in a jail, with a socket as descriptor 0.
#![allow(unsafe_code)]

use std::os::fd::{FromRawFd, OwnedFd};
use std::process::ExitCode;

use ayni_runner::{serve, socket::Socket, wall};
use rustix::net::{AddressFamily, SocketType, sockopt};

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        None => {}
        Some("--version" | "-V") => {
            println!("{}", serve::version());
            return ExitCode::SUCCESS;
        }
        Some(other) => {
            eprintln!("error: `{other}` is not understood");
            eprintln!("hint: `ayni-runner` is started by the `ayni` daemon, without arguments");
            return ExitCode::from(64);
        }
    }
    let stdin = std::io::stdin();
    let ours = sockopt::socket_type(&stdin) == Ok(SocketType::SEQPACKET)
        && sockopt::socket_domain(&stdin) == Ok(AddressFamily::UNIX);
    if !ours {
        eprintln!("error: descriptor 0 is not the daemon's socket");
        eprintln!("hint: `ayni-runner` is started by the `ayni` daemon; try `ayni exec PROGRAM`");
        return ExitCode::from(64);
    }
    // SAFETY: descriptor 0 is open (checked above) and nothing else in this process uses it.
    let socket = Socket::new(unsafe { OwnedFd::from_raw_fd(0) });
    if let Err(error) = wall::raise() {
        eprintln!("error: the inner wall does not stand: {error}");
        return ExitCode::from(2);
    }
    match serve::serve(socket) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

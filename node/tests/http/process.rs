//! The node as processes.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use axum::http::{Method, StatusCode};
use serde_json::Value;

use crate::asking::request;

/// The command line.
const VERISOO: &str = env!("CARGO_BIN_EXE_verisoo");

/// A node that runs until it is dropped.
pub struct Process {
    child: Child,
    pub url: String,
    pub admin: String,
}

impl Drop for Process {
    fn drop(&mut self) {
        // Kills without a warning (SIGKILL, where there are signals). It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    /// Starts `serve` and waits until it listens.
    pub fn serve(arguments: &[&str]) -> Self {
        Self::serve_with(arguments, &[])
    }

    /// The same, with these variables in its environment.
    pub fn serve_with(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new(VERISOO);
        command
            .arg("serve")
            .args(arguments)
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut after = |prefix: &str| loop {
            let line = lines.next().expect("serve ended").unwrap();
            if let Some(rest) = line.strip_prefix(prefix) {
                return rest.to_owned();
            }
        };
        let (url, admin) = (after("listening on "), after("admin on "));
        Self { child, url, admin }
    }

    pub async fn status(&self) -> Value {
        let (status, body) = request(Method::GET, &format!("{}/status", self.url), None, Vec::new()).await;
        assert_eq!(status, StatusCode::OK);
        serde_json::from_str(&body).unwrap()
    }

    /// Asks for a stop, as a service manager does.
    #[cfg(unix)]
    pub fn terminate(&self) {
        assert!(Command::new("kill").arg(self.child.id().to_string()).status().unwrap().success());
    }

    /// Waits for the end; whether it was a good one.
    #[cfg(unix)]
    pub fn has_ended_well(&mut self) -> bool {
        self.child.wait().unwrap().success()
    }
}

/// Runs a command to its end.
pub fn run(arguments: &[&str]) -> Output {
    run_with(arguments, &[])
}

/// The same, with these variables in its environment.
pub fn run_with(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    Command::new(VERISOO).args(arguments).envs(environment.iter().copied()).output().unwrap()
}

/// Makes a key; its vkey.
pub fn keygen(file: &Path, name: &str) -> String {
    let output = run(&["keygen", file.to_str().unwrap(), "--name", name]);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A loopback address that nobody listens on. On Linux away from 127.0.0.1, from which connections are
/// made, so that none of them takes the port before it is used.
pub fn unused_address() -> String {
    let listener = TcpListener::bind("127.77.0.1:0").or_else(|_| TcpListener::bind("127.0.0.1:0")).unwrap();
    listener.local_addr().unwrap().to_string()
}

/// Polls `condition` until it holds; panics with `what` after a minute, which nothing here takes.
pub async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let begun = Instant::now();
    while !condition().await {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

//! A real mail server on loopback that keeps what it is sent.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use crate::until;

/// A mail as it arrived.
#[derive(Debug, Clone)]
pub struct Mail {
    /// Who gets it.
    pub to: String,
    /// Its head and body, decoded.
    pub text: String,
}

/// The mail server. Dropping it ends it.
#[derive(Debug)]
pub struct Mailbox {
    child: Child,
    /// Where it listens.
    pub port: u16,
    mails: Arc<Mutex<Vec<Mail>>>,
}

impl Mailbox {
    /// Starts it on a free port.
    #[track_caller]
    pub fn start() -> Self {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut child = Command::new(here.join("../.tools/py/bin/python"))
            .arg(here.join("mail/server.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python with aiosmtpd: run the tests through ./dev test");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let port = lines.next().and_then(Result::ok).unwrap_or_default();
        let port = port.parse().expect("it prints its port");
        let mails = Arc::<Mutex<Vec<Mail>>>::default();
        let kept = mails.clone();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let mail: serde_json::Value = serde_json::from_str(&line).expect("JSON");
                let text = |name: &str| mail[name].as_str().unwrap_or_default().to_owned();
                kept.lock().expect("not poisoned").push(Mail {
                    to: text("to"),
                    text: text("text"),
                });
            }
        });
        Self { child, port, mails }
    }

    /// The configuration that sends mail here.
    pub fn config(&self) -> String {
        format!(
            "mail:\n  smtp:\n    host: 127.0.0.1\n    port: {}\n    tls: none\n",
            self.port
        )
    }

    /// What has arrived so far.
    pub fn mails(&self) -> Vec<Mail> {
        self.mails.lock().expect("not poisoned").clone()
    }

    /// Waits for so many mails.
    #[track_caller]
    pub fn wait(&self, count: usize) -> Vec<Mail> {
        until(&format!("{count} mails arrive"), || {
            self.mails().len() >= count
        });
        self.mails()
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

//! Logging in through the browser: the server's page brings a code to a port of this machine, and it is exchanged with a secret that
//! never left this process.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::Url;

use crate::error::Error;
use crate::http::Api;
use crate::output;

/// How long somebody may take to sign in.
const PATIENCE: Duration = Duration::from_secs(300);
/// Between two looks at the port.
const PAUSE: Duration = Duration::from_millis(50);
/// How long a connection may take to say what it wants, and how much that may be.
const BRIEF: Duration = Duration::from_secs(2);
const LONGEST: u64 = 8 << 10;

/// Has the browser's user let this program in; the answer is a token and whose it is.
pub(super) fn login(api: &Api) -> Result<Value, Error> {
    let failed = |source| Error::Io {
        what: "cannot listen on 127.0.0.1 (log in with --paste instead)".into(),
        source,
    };
    let listener = TcpListener::bind("127.0.0.1:0").map_err(failed)?;
    let port = listener.local_addr().map_err(failed)?.port();
    listener.set_nonblocking(true).map_err(failed)?;
    let (state, verifier) = (secret()?, secret()?);
    let page = page(&api.server, port, &state, &verifier)?;
    output::note(&format!(
        "Allow this program in your browser: {page}\nWithout a browser on this machine: da login --paste"
    ));
    open(&page);
    let code = wait(&listener, &state)?;
    let given = json!({"code": code, "verifier": verifier});
    api.post("/auth/cli/token", &given)
}

fn secret() -> Result<String, Error> {
    let mut random = [0; 32];
    getrandom::fill(&mut random)
        .map_err(|error| Error::Said(format!("this machine gives no random numbers: {error}")))?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(random))
}

fn page(server: &str, port: u16, state: &str, verifier: &str) -> Result<Url, Error> {
    let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
    let host = rustix::system::uname();
    let host = host.nodename().to_string_lossy();
    let plain = |c: &char| c.is_ascii_alphanumeric() || "-._".contains(*c);
    let host: String = host.chars().filter(plain).take(40).collect();
    let mut page = Url::parse(&format!("{server}/cli/login"))
        .map_err(|error| Error::Said(format!("{server} is no address of a server: {error}")))?;
    page.query_pairs_mut()
        .append_pair("port", &port.to_string())
        .append_pair("state", state)
        .append_pair("challenge", &challenge)
        .append_pair("name", &format!("da on {host}"));
    Ok(page)
}

/// Shows the page where there is a browser; where there is none, its address was said.
fn open(page: &Url) {
    let opener = if cfg!(target_os = "macos") {
        "open"
    } else {
        "xdg-open"
    };
    let mut browser = Command::new(opener);
    browser.arg(page.as_str()).stdin(Stdio::null());
    browser.stdout(Stdio::null()).stderr(Stdio::null());
    browser.spawn().ok();
}

/// The code, from whoever knows the state. Every page of the web can talk to this port; what does not is answered and forgotten.
fn wait(listener: &TcpListener, state: &str) -> Result<String, Error> {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        match listener.accept() {
            Ok((stream, _)) => {
                if let Some(code) = hear(stream, state) {
                    return Ok(code);
                }
            }
            Err(_) => std::thread::sleep(PAUSE),
        }
    }
    Err(Error::Said(
        "nobody allowed it within five minutes. Run `da login` again, or `da login --paste`".into(),
    ))
}

fn hear(mut stream: TcpStream, state: &str) -> Option<String> {
    stream.set_nonblocking(false).ok()?;
    stream.set_read_timeout(Some(BRIEF)).ok()?;
    stream.set_write_timeout(Some(BRIEF)).ok()?;
    let mut lines = BufReader::new(stream.try_clone().ok()?.take(LONGEST)).lines();
    let first = lines.next()?.ok()?;
    // All of the head is read, or a browser would find its connection cut.
    lines.map_while(Result::ok).find(String::is_empty);
    let code = code(&first, state);
    let (status, text) = match &code {
        Some(_) => (
            "200 OK",
            "You are logged in. Close this page and go back to the terminal.",
        ),
        None => ("404 Not Found", "Nothing is here."),
    };
    write!(stream, "HTTP/1.1 {status}\r\ncontent-type: text/plain\r\ncontent-length: {}\r\nreferrer-policy: no-referrer\r\ncache-control: no-store\r\nconnection: close\r\n\r\n{text}", text.len()).ok();
    code
}

/// The code of a request line, if it is an answer to this very question.
fn code(line: &str, state: &str) -> Option<String> {
    let path = line.strip_prefix("GET ")?.split(' ').next()?;
    let query = path.strip_prefix("/?")?;
    let said = |name: &str| {
        let mut pairs = url::form_urlencoded::parse(query.as_bytes());
        pairs.find(|(key, _)| key == name).map(|(_, value)| value)
    };
    (said("state")? == state)
        .then(|| said("code"))??
        .into_owned()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_answer_to_this_question_is_heard() {
        let heard = |line| code(line, "mine");
        assert_eq!(
            heard("GET /?code=c0de&state=mine HTTP/1.1").as_deref(),
            Some("c0de")
        );
        for line in [
            "GET /?code=c0de&state=other HTTP/1.1",
            "GET /?code=c0de HTTP/1.1",
            "GET /?state=mine HTTP/1.1",
            "POST /?code=c0de&state=mine HTTP/1.1",
            "GET /favicon.ico HTTP/1.1",
            "",
        ] {
            assert_eq!(heard(line), None, "{line}");
        }
    }

    #[test]
    fn the_secret_itself_is_not_in_the_address() {
        let page = page("https://a.example", 40_000, "st", "secret").unwrap();
        assert!(!page.as_str().contains("secret"), "{page}");
        assert!(
            page.as_str()
                .starts_with("https://a.example/cli/login?port=40000&state=st&challenge=")
        );
    }
}

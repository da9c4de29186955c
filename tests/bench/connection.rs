//! One connection that asks the same again and again, with as little work of its own as can be: on a machine that both
//! share, what the client costs is taken from the server.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::samples::Samples;

/// A connection that is kept open, and its request. The server closes one that stays idle for long.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<TcpStream>,
    request: Vec<u8>,
    line: String,
    body: Vec<u8>,
}

impl Connection {
    /// Connects, to ask for this path.
    pub fn new(url: &str, path: &str, token: Option<&str>) -> Self {
        let authority = url.strip_prefix("http://").expect("an address over http");
        let token = token.map_or_else(String::new, |token| {
            format!("authorization: Bearer {token}\r\n")
        });
        let stream = TcpStream::connect(authority).expect("the server listens");
        stream.set_nodelay(true).expect("it can be set");
        Self {
            stream: BufReader::new(stream),
            request: format!("GET {path} HTTP/1.1\r\nhost: {authority}\r\n{token}\r\n").into(),
            line: String::new(),
            body: Vec::new(),
        }
    }

    /// Asks, and reads the whole answer, which must be good.
    pub fn ask(&mut self) {
        if let Err(error) = self.exchange() {
            panic!("{error}: {}", String::from_utf8_lossy(&self.request));
        }
    }

    fn exchange(&mut self) -> io::Result<()> {
        self.stream.get_mut().write_all(&self.request)?;
        if !self.next_line()?.starts_with("HTTP/1.1 200 ") {
            return Err(io::Error::other(self.line.trim_end()));
        }
        let mut length = None;
        loop {
            let line = self.next_line()?;
            if line.is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().ok();
            }
        }
        let length = length.ok_or_else(|| io::Error::other("an answer of unknown length"))?;
        self.body.resize(length, 0);
        self.stream.read_exact(&mut self.body)
    }

    fn next_line(&mut self) -> io::Result<&str> {
        self.line.clear();
        self.stream.read_line(&mut self.line)?;
        Ok(self.line.trim_end())
    }

    /// Asks again as soon as there is an answer, for so many seconds; the seconds that each took.
    pub fn ask_for(&mut self, seconds: f64) -> Samples {
        let end = Instant::now() + Duration::from_secs_f64(seconds);
        let mut latencies = Samples::default();
        while Instant::now() < end {
            let began = Instant::now();
            self.ask();
            latencies.push(began.elapsed().as_secs_f64());
        }
        latencies
    }

    /// Asks every so often until it is over; the seconds from when each was due to its answer. An answer that keeps
    /// the next requests waiting counts against those too.
    pub fn ask_every(&mut self, pause: Duration, over: &AtomicBool) -> Samples {
        let mut latencies = Samples::default();
        let mut due = Instant::now();
        while !over.load(Ordering::Relaxed) {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            self.ask();
            latencies.push(due.elapsed().as_secs_f64());
            due += pause;
        }
        latencies
    }
}

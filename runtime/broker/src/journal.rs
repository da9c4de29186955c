//! What is told of a run while it runs: log lines within their budget, counts, progress about once a
//! second, and the egress audit. Everything passes the redactor on its way out.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::Failure;
use domain::ports::Observer;
use domain::run::{Counts, EgressRow, Level, Progress, percent};
use tokio::time::Instant;

use crate::redact::Redactor;

/// The most bytes of one line.
pub(crate) const MAX_LINE: usize = 4 << 10;
/// Between two reports of progress.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);
/// A rate is not taken anew before so much time has gone by, since a short moment says little.
const LEAST_MOMENT: Duration = Duration::from_millis(250);

/// The run's voice; shared by its session, its requests and its supervisor.
#[derive(Clone)]
pub(crate) struct Journal(Arc<Inner>);

struct Inner {
    observer: Arc<dyn Observer>,
    redactor: Redactor,
    bytes_in: AtomicU64,
    requests: AtomicU64,
    state: Mutex<State>,
}

struct State {
    /// `bytes_in` and `requests` are counted apart, without the lock.
    progress: Progress,
    pace: Pace,
    log_left: u64,
    lines_left_out: u64,
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").finish_non_exhaustive()
    }
}

impl Journal {
    /// Speaks to `observer`; at most `log_bytes` of log.
    pub(crate) fn new(observer: Arc<dyn Observer>, redactor: Redactor, log_bytes: u64) -> Self {
        let state = State {
            progress: Progress::default(),
            pace: Pace::begin(),
            log_left: log_bytes,
            lines_left_out: 0,
        };
        Self(Arc::new(Inner {
            observer,
            redactor,
            bytes_in: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            state: Mutex::new(state),
        }))
    }

    /// The run has its place.
    pub(crate) fn started(&self) {
        self.0.observer.started();
    }

    /// What blanks credentials.
    pub(crate) fn redactor(&self) -> &Redactor {
        &self.0.redactor
    }

    /// Writes a line, as far as the budget goes.
    pub(crate) fn log(&self, level: Level, message: &str) {
        let line = clean_line(&self.0.redactor.text(message));
        let fits = {
            let mut state = self.state();
            let left = state.log_left.checked_sub(line.len() as u64);
            match left {
                Some(left) => state.log_left = left,
                None => state.lines_left_out += 1,
            }
            left.is_some()
        };
        if fits {
            self.0.observer.log(level, &line);
        }
    }

    /// A row for the egress audit.
    pub(crate) fn egress(&self, row: &EgressRow) {
        self.0.observer.egress(row);
    }

    /// Counts bytes of a body; the sum so far.
    pub(crate) fn add_bytes_in(&self, bytes: u64) -> u64 {
        self.0
            .bytes_in
            .fetch_add(bytes, Ordering::Relaxed)
            .saturating_add(bytes)
    }

    /// Counts a request; the sum so far.
    pub(crate) fn add_request(&self) -> u64 {
        self.0
            .requests
            .fetch_add(1, Ordering::Relaxed)
            .saturating_add(1)
    }

    /// What the stage has taken so far, and the table that it took last.
    pub(crate) fn wrote(&self, table: Option<&str>, (rows, bytes_out): (u64, u64)) {
        let mut state = self.state();
        state.progress.counts.rows = rows;
        state.progress.counts.bytes_out = bytes_out;
        if let Some(table) = table.filter(|table| state.progress.table.as_deref() != Some(table)) {
            state.progress.table = Some(table.to_owned());
        }
    }

    /// What the component says about its progress.
    pub(crate) fn report(&self, message: &str, done: u64, total: Option<u64>) {
        let message = clean_line(&self.0.redactor.text(message));
        let mut state = self.state();
        state.progress.message = message;
        state.progress.done = done;
        state.progress.total = total;
        state.progress.percent = percent(done, total);
    }

    /// The counts so far.
    pub(crate) fn counts(&self) -> Counts {
        self.progress().counts
    }

    /// Tells the progress once a second, for as long as it is polled; also where nothing has changed, which is news to
    /// whoever wonders whether the run still lives.
    pub(crate) async fn tell_progress(self) {
        let mut ticks = tokio::time::interval(PROGRESS_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.tell(Pace::lately);
        }
    }

    /// Tells how it ended: what was left out, and the last progress.
    pub(crate) fn finish(&self) {
        let left_out = std::mem::take(&mut self.state().lines_left_out);
        if left_out > 0 {
            let message = format!("{left_out} lines left out: the run's log is full");
            self.0.observer.log(Level::Warn, &message);
        }
        self.tell(Pace::of_all);
    }

    fn tell(&self, rate: impl FnOnce(&mut Pace, u64) -> u64) {
        {
            let mut state = self.state();
            let rows = state.progress.counts.rows;
            state.progress.rate = rate(&mut state.pace, rows);
        }
        self.0.observer.progress(&self.progress());
    }

    fn progress(&self) -> Progress {
        let mut progress = self.state().progress.clone();
        progress.counts.bytes_in = self.0.bytes_in.load(Ordering::Relaxed);
        progress.counts.requests = self.0.requests.load(Ordering::Relaxed);
        progress
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How fast rows come.
struct Pace {
    began: Instant,
    seen: Instant,
    rows: u64,
    rate: f64,
}

impl Pace {
    fn begin() -> Self {
        let now = Instant::now();
        Self {
            began: now,
            seen: now,
            rows: 0,
            rate: 0.0,
        }
    }

    /// Rows a second of late: each second counts half of the one after it, so that pages which come in bursts do not
    /// make the number jump.
    fn lately(&mut self, rows: u64) -> u64 {
        let passed = self.seen.elapsed();
        if passed >= LEAST_MOMENT {
            let new = per_second(rows.saturating_sub(self.rows), passed);
            self.rate = (self.rate + new) / 2.0;
            (self.seen, self.rows) = (Instant::now(), rows);
        }
        whole(self.rate)
    }

    /// Rows a second over the whole run.
    fn of_all(&mut self, rows: u64) -> u64 {
        whole(per_second(rows, self.began.elapsed()))
    }
}

fn per_second(rows: u64, passed: Duration) -> f64 {
    rows as f64 / passed.as_secs_f64().max(0.001)
}

fn whole(rate: f64) -> u64 {
    rate.round() as u64
}

/// Cut to `MAX_LINE`, without characters that a terminal would obey.
pub(crate) fn clean_line(text: &str) -> String {
    let cut = text
        .get(..text.floor_char_boundary(MAX_LINE))
        .unwrap_or_default();
    cut.chars()
        .map(|c| {
            if c.is_control() && c != '\n' && c != '\t' {
                ' '
            } else {
                c
            }
        })
        .collect()
}

/// A failure as it may be shown and kept: without credentials, cut, without control characters.
pub(crate) fn clean_failure(redactor: &Redactor, failure: Failure) -> Failure {
    let failure = redactor.failure(failure);
    Failure {
        message: clean_line(&failure.message),
        ..failure
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Heard;
    use domain::Secret;

    fn journal(log_bytes: u64) -> (Arc<Heard>, Journal) {
        let heard = Arc::new(Heard::default());
        let redactor = Redactor::new(&[Secret::new("canary-1")]).unwrap();
        (heard.clone(), Journal::new(heard, redactor, log_bytes))
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        let (heard, journal) = journal(1 << 20);
        journal.log(Level::Info, &format!("a{}", "ä".repeat(4000)));
        assert_eq!(heard.lines()[0].len(), MAX_LINE - 1);
    }

    #[test]
    fn what_goes_beyond_the_budget_is_counted_and_left_out() {
        let (heard, journal) = journal(10);
        for _ in 0..5 {
            journal.log(Level::Info, "1234");
        }
        journal.finish();
        assert_eq!(
            heard.lines(),
            ["1234", "1234", "3 lines left out: the run's log is full"]
        );
    }

    #[test]
    fn a_line_loses_credentials_and_terminal_codes() {
        let (heard, journal) = journal(1 << 20);
        journal.log(Level::Info, "\u{1b}[31m token canary-1\nnext");
        assert_eq!(heard.lines(), [" [31m token [redacted]\nnext"]);
        let failure = clean_failure(
            journal.redactor(),
            Failure::auth(format!("canary-1{}", "x".repeat(9000))),
        );
        assert!(failure.message.starts_with("[redacted]x") && failure.message.len() == MAX_LINE);
    }

    #[tokio::test(start_paused = true)]
    async fn progress_is_told_once_a_second_whether_something_changes_or_not() {
        let (heard, journal) = journal(1 << 20);
        let telling = tokio::spawn(journal.clone().tell_progress());
        for _ in 0..100 {
            journal.add_bytes_in(10);
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        tokio::time::sleep(Duration::from_secs(60)).await;
        telling.abort();
        // At the start, and after each of 63 seconds.
        assert!((63..=64).contains(&heard.progress().len()));
        journal.finish();
        assert_eq!(heard.progress().last().unwrap().counts.bytes_in, 1000);
    }

    #[tokio::test(start_paused = true)]
    async fn the_rate_follows_the_rows_and_is_in_the_end_that_of_the_whole_run() {
        let (heard, journal) = journal(1 << 20);
        let telling = tokio::spawn(journal.clone().tell_progress());
        for second in 1..=10 {
            journal.wrote(Some("orders"), (second * 500, 0));
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let rate = heard.progress().last().unwrap().rate;
        assert!((450..=550).contains(&rate), "{rate}");
        tokio::time::sleep(Duration::from_secs(10)).await;
        let rate = heard.progress().last().unwrap().rate;
        assert!(rate < 10, "nothing came for a while: {rate}");
        telling.abort();
        journal.report("half", 1, Some(2));
        journal.finish();
        let last = heard.progress().pop().unwrap();
        assert_eq!((last.rate, last.percent), (250, Some(50)));
    }
}

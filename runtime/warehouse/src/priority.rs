//! Which threads stand back: those that move rows have all the time that the others leave, so that neither an answer nor
//! the connector, which fetches the next page, waits for them.

use rustix::process::setpriority_process;

/// As a runner has it: its rows and what becomes of them get on alike.
const NICE: i32 = 10;

/// Has the calling thread stand back behind those that answer.
pub(crate) fn stand_back() {
    // Without an identifier Linux takes the calling thread alone. One that may not is no worse than before.
    if let Err(error) = setpriority_process(None, NICE) {
        tracing::debug!(%error, "a thread keeps its priority");
    }
}

#[cfg(test)]
mod tests {
    use rustix::process::getpriority_process;

    use super::*;

    #[test]
    fn only_the_thread_that_asks_stands_back() {
        let before = getpriority_process(None).unwrap();
        let asked = std::thread::spawn(|| {
            stand_back();
            getpriority_process(None).unwrap()
        });
        assert_eq!(asked.join().unwrap(), NICE);
        assert_eq!(getpriority_process(None).unwrap(), before);
    }
}

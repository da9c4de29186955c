//! Passwords: hashed with argon2id, compared in the same time whether or not there is a user, and
//! never more of them at once than leaves the server free for other work.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use domain::Secret;
use thiserror::Error;
use tokio::sync::Semaphore;

/// Memory in KiB, passes and lanes: the first choice of OWASP's cheat sheet for argon2id.
const MEMORY: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Beyond this a "password" is an attempt to keep the server busy.
const MAX_BYTES: usize = 1024;
/// Sign-ins that wait for their turn; more are told to come back.
const MOST_WAITING: usize = 200;

/// Guesses that an attacker who knows what people choose may need at least: a million, ten times what
/// finds any of the common passwords with their usual twists.
const FEWEST_GUESSES: zxcvbn::Score = zxcvbn::Score::Two;

/// Why a password is not taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PasswordError {
    /// Too short.
    #[error("Password must be at least {0} characters")]
    Short(usize),
    /// Too long.
    #[error("Password must be at most {MAX_BYTES} bytes")]
    Long,
    /// One of those that are guessed first, or made from the user's own address.
    #[error("This password is guessed too easily; choose another")]
    Guessable,
    /// The system gave no random bytes.
    #[error("the password cannot be hashed: {0}")]
    Hash(String),
}

/// Too many sign-ins wait already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("Too many sign-ins at once; try again in a moment")]
pub struct Busy;

/// Whether a password was right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It was; its hash is by the present rules, or should be replaced.
    Right {
        /// Whether to hash it anew.
        rehash: bool,
    },
    /// It was not, or there is none.
    Wrong,
}

/// What new passwords have to be.
#[derive(Debug, Clone, Copy)]
pub struct Policy<'a> {
    /// The fewest characters.
    pub min_length: usize,
    /// Words of the organisation that are guessed first, beside those of all people.
    pub context_words: &'a [String],
}

impl Policy<'_> {
    /// Whether a new password may be used by the holder of this address.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self, password: &Secret, email: &str) -> Result<(), PasswordError> {
        let text = String::from_utf8_lossy(password.expose());
        if text.chars().count() < self.min_length {
            return Err(PasswordError::Short(self.min_length));
        }
        if text.len() > MAX_BYTES {
            return Err(PasswordError::Long);
        }
        let parts = email.split('@').chain(email.split(['@', '.']));
        let parts = parts.chain([email, "sluice"]);
        let words = self.context_words.iter().map(String::as_str);
        let words: Vec<&str> = parts.chain(words).collect();
        match zxcvbn::zxcvbn(&text, &words).score() < FEWEST_GUESSES {
            true => Err(PasswordError::Guessable),
            false => Ok(()),
        }
    }
}

/// Hashes a password, with a salt of its own, as a PHC string. Takes tens of milliseconds.
///
/// # Errors
/// [`PasswordError::Hash`].
pub fn hash(password: &Secret) -> Result<String, PasswordError> {
    let hash = |error: &dyn std::fmt::Display| PasswordError::Hash(error.to_string());
    let hasher = hasher().map_err(|error| hash(&error))?;
    let hashed = hasher.hash_password(password.expose());
    Ok(hashed.map_err(|error| hash(&error))?.to_string())
}

/// Compares a password with the hash of the user's, and takes as long where there is none.
pub fn verify(stored: Option<&str>, given: &Secret) -> Verdict {
    if given.expose().len() > MAX_BYTES {
        return Verdict::Wrong;
    }
    let parsed = stored.and_then(|stored| PasswordHash::new(stored).ok());
    let parsed = parsed.filter(is_bearable);
    let Some(parsed) = parsed else {
        // What a hash costs is what tells; the result does not matter.
        let _ = hash(given);
        return Verdict::Wrong;
    };
    match Argon2::default().verify_password(given.expose(), &parsed) {
        Ok(()) => Verdict::Right {
            rehash: !is_current(&parsed),
        },
        Err(_) => Verdict::Wrong,
    }
}

fn hasher() -> Result<Argon2<'static>, argon2::Error> {
    let params = Params::new(MEMORY, PASSES, LANES, None)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// Whether a stored hash is one of argon2id that costs no more than those that were ever stored: what
/// a restored table holds must not be able to use up the memory.
fn is_bearable(hash: &PasswordHash) -> bool {
    let bounded = |params: Params| {
        params.m_cost() <= 128 * 1024 && params.t_cost() <= 8 && params.p_cost() <= 16
    };
    hash.algorithm.as_str() == "argon2id" && Params::try_from(hash).is_ok_and(bounded)
}

fn is_current(hash: &PasswordHash) -> bool {
    Params::try_from(hash).is_ok_and(|params| {
        (params.m_cost(), params.t_cost(), params.p_cost()) == (MEMORY, PASSES, LANES)
    })
}

/// Lets few hash at once: a hundred sign-ins must not keep everybody else waiting.
#[derive(Debug)]
pub struct Gate {
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
}

impl Default for Gate {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            // One processor stays free.
            places: Arc::new(Semaphore::new(processors.saturating_sub(1).max(1))),
            waiting: AtomicUsize::new(0),
        }
    }
}

impl Gate {
    /// Runs work that hashes, in its turn and on a thread that may block.
    ///
    /// # Errors
    /// [`Busy`] when too many wait.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let place = Waiting::enter(&self.waiting)?;
        let places = Arc::clone(&self.places);
        let permit = places.acquire_owned().await.map_err(|_| Busy)?;
        drop(place);
        // The place goes with the work: a client that hangs up does not free it before its end.
        let done = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work()
        });
        done.await.map_err(|_| Busy)
    }
}

/// One who waits; also leaves when the request is given up.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(count: &'a AtomicUsize) -> Result<Self, Busy> {
        if count.fetch_add(1, Ordering::SeqCst) >= MOST_WAITING {
            count.fetch_sub(1, Ordering::SeqCst);
            return Err(Busy);
        }
        Ok(Self(count))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by argon2-cffi 25.1 with its defaults, as the predecessor stored them.
    const OF_THE_PREDECESSOR: &str = "$argon2id$v=19$m=65536,t=3,p=4$Z55JIg/y5h5xU9FtC8iMag$J88/DJwyRuODIB9TeR6z3G8A6j99GQobdQ/5tBgtH70";

    #[test]
    fn a_password_is_right_or_wrong_and_no_hash_is_like_another() {
        let secret = Secret::new("correct horse");
        let (first, second) = (hash(&secret).unwrap(), hash(&secret).unwrap());
        assert_ne!(first, second);
        assert!(
            first.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{first}"
        );
        assert_eq!(
            verify(Some(&first), &secret),
            Verdict::Right { rehash: false }
        );
        assert_eq!(
            verify(Some(&first), &Secret::new("correct horsf")),
            Verdict::Wrong
        );
        for stored in [
            None,
            Some(""),
            Some("correct horse"),
            Some("$argon2id$broken"),
        ] {
            assert_eq!(verify(stored, &secret), Verdict::Wrong, "{stored:?}");
        }
    }

    #[test]
    fn the_hashes_of_the_predecessor_work_and_are_to_be_replaced() {
        let given = Secret::new("correct horse battery staple");
        let verdict = verify(Some(OF_THE_PREDECESSOR), &given);
        assert_eq!(verdict, Verdict::Right { rehash: true });
        for costly in [
            OF_THE_PREDECESSOR.replace("m=65536", "m=4194304"),
            OF_THE_PREDECESSOR.replace("t=3", "t=4000"),
            OF_THE_PREDECESSOR.replace("argon2id", "argon2d"),
        ] {
            assert_eq!(verify(Some(&costly), &given), Verdict::Wrong, "{costly}");
        }
    }

    #[test]
    fn what_is_guessed_first_is_not_taken() {
        let policy = Policy {
            min_length: 8,
            context_words: &["Lighthouse".into(), "acmecorp".into()],
        };
        let check = |text: &str| policy.check(&Secret::new(text), "Ada.Lovelace@example.com");
        assert_eq!(check("correct horse"), Ok(()));
        assert_eq!(check("päßwörtchen"), Ok(()));
        assert_eq!(check("short"), Err(PasswordError::Short(8)));
        assert_eq!(check(&"x".repeat(2000)), Err(PasswordError::Long));
        for guessable in [
            "Password123",
            "p@ssw0rd1",
            "qwertyuiop",
            "trustno1",
            "liverpool1",
            "ada.lovelace",
            "ADA.lovelace@example.com",
            "lovelace1",
            "lighthouse1",
            "AcmeCorp!",
            "zzzzzzzzzz",
            "abcdefgh",
            "19871987",
        ] {
            assert_eq!(
                check(guessable),
                Err(PasswordError::Guessable),
                "{guessable}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn no_password_makes_the_check_panic(text in "\\PC{0,300}", email in "\\PC{0,60}") {
            let policy = Policy { min_length: 8, context_words: &[] };
            let _ = policy.check(&Secret::new(text), &email);
        }
    }

    #[tokio::test]
    async fn a_crowd_is_let_in_a_few_at_a_time_and_no_more_than_fit_wait() {
        let gate = Arc::new(Gate {
            places: Arc::new(Semaphore::new(1)),
            waiting: AtomicUsize::new(MOST_WAITING),
        });
        assert_eq!(gate.run(|| 1).await, Err(Busy));
        gate.waiting.store(0, Ordering::SeqCst);
        let inside = Arc::new(AtomicUsize::new(0));
        let crowd = (0..20).map(|_| {
            let (gate, inside) = (gate.clone(), inside.clone());
            tokio::spawn(async move {
                let enter = move || {
                    let others = inside.fetch_add(1, Ordering::SeqCst);
                    std::thread::yield_now();
                    inside.fetch_sub(1, Ordering::SeqCst);
                    others
                };
                gate.run(enter).await.unwrap()
            })
        });
        for one in crowd.collect::<Vec<_>>() {
            assert_eq!(one.await.unwrap(), 0, "another was inside");
        }
        assert_eq!(gate.waiting.load(Ordering::SeqCst), 0);
    }
}

//! Why a call or a run did not work.

/// Why a call or a run did not work. The case decides what the host does next.
///
/// Texts are shown to people: say what was wrong, where, and what to do. Never put data or credentials into them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The settings are wrong, or ask for something that does not exist. Final.
    Config(String),
    /// The service refused the credential. Final until an admin enters another one.
    Auth(String),
    /// The service asked to slow down, beyond the host's own retries. Tried again later.
    RateLimited {
        /// The service's words, shortened.
        message: String,
        /// Seconds to wait, where the service named a time.
        retry_after_seconds: Option<u32>,
    },
    /// The service did not answer, or answered with an error or with garbage. Tried again later.
    Upstream(String),
    /// A limit of the host was reached, or the host refused the call. Final.
    Limit(String),
    /// The connector did something that it must not do. Final.
    Bug(String),
}

impl Failure {
    /// The settings are wrong.
    pub fn config(message: impl Into<String>) -> Self {
        Self::Config(message.into())
    }

    /// The service refused the credential.
    pub fn auth(message: impl Into<String>) -> Self {
        Self::Auth(message.into())
    }

    /// The service answered with an error or with garbage.
    pub fn upstream(message: impl Into<String>) -> Self {
        Self::Upstream(message.into())
    }

    /// The connector is wrong.
    pub fn bug(message: impl Into<String>) -> Self {
        Self::Bug(message.into())
    }

    /// The same failure, with `place: ` before its text: `orders: the body is not JSON`.
    #[must_use]
    pub fn at(mut self, place: impl std::fmt::Display) -> Self {
        let (Self::Config(message)
        | Self::Auth(message)
        | Self::RateLimited { message, .. }
        | Self::Upstream(message)
        | Self::Limit(message)
        | Self::Bug(message)) = &mut self;
        *message = format!("{place}: {message}");
        self
    }

    /// The text for people.
    pub fn message(&self) -> &str {
        match self {
            Self::Config(message)
            | Self::Auth(message)
            | Self::RateLimited { message, .. }
            | Self::Upstream(message)
            | Self::Limit(message)
            | Self::Bug(message) => message,
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.message())
    }
}

impl std::error::Error for Failure {}

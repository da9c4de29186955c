//! Mail: composed here, sent in the background by SMTP, so that asking for a link takes the same time
//! whether or not a mail goes out.

use std::time::Duration;

use domain::Secret;
use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use thiserror::Error;
use tokio::sync::mpsc;

/// Mails that wait to be sent; more are dropped, with a word in the log.
const MOST_WAITING: usize = 1_000;
/// How often a mail is tried, and the pause before the second time; it doubles.
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_secs(2);
/// For each step of the conversation.
const TIMEOUT: Duration = Duration::from_secs(20);

/// How the connection to the mail server is kept private.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailTls {
    /// Starts in the clear and must change to TLS.
    StartTls,
    /// TLS from the first byte.
    Implicit,
    /// Not at all: for a server on the same machine.
    None,
}

/// Where mail goes.
#[derive(Debug, Clone)]
pub struct MailSettings {
    /// The sender, as `Name <address>` or an address.
    pub from: String,
    /// The mail server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The user that mail is sent as, with its password.
    pub login: Option<(String, Secret)>,
    /// How the connection is kept private.
    pub tls: MailTls,
}

/// Why mail cannot be sent.
#[derive(Debug, Error)]
pub enum MailError {
    /// The sender or the receiver is no address.
    #[error("`{0}` is no address that mail can have")]
    Address(String),
    /// Mail without TLS to another machine would show its links to whoever listens.
    #[error("mail to `{0}` needs TLS: only a server on this machine may go without")]
    Clear(String),
    /// The settings of the mail server make no sense.
    #[error("the mail server cannot be used: {0}")]
    Server(#[from] lettre::transport::smtp::Error),
    /// The mail could not be put together.
    #[error("the mail cannot be put together: {0}")]
    Compose(#[from] lettre::error::Error),
}

/// Sends mail in the background.
#[derive(Debug, Clone)]
pub struct Mailer {
    from: Mailbox,
    queue: mpsc::Sender<Message>,
}

impl Mailer {
    /// Starts the sending. Must be called inside a runtime, on which it goes on.
    ///
    /// # Errors
    /// [`MailError`] when the settings make no sense.
    pub fn start(settings: MailSettings) -> Result<Self, MailError> {
        let from = settings.from.parse();
        let from = from.map_err(|_| MailError::Address(settings.from.clone()))?;
        let transport = transport(settings)?;
        let (queue, waiting) = mpsc::channel(MOST_WAITING);
        tokio::spawn(send_all(transport, waiting));
        Ok(Self { from, queue })
    }

    /// Puts a mail into the queue. What stands in it cannot become a header: names and subjects are
    /// encoded, addresses parsed.
    ///
    /// # Errors
    /// [`MailError::Address`], [`MailError::Compose`].
    pub fn send(&self, to: &str, subject: &str, text: String) -> Result<(), MailError> {
        let receiver = to.parse();
        let receiver = receiver.map_err(|_| MailError::Address(to.to_owned()))?;
        let message = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, receiver))
            .subject(subject)
            .message_id(None)
            .body(text)?;
        if self.queue.try_send(message).is_err() {
            tracing::error!("a mail was dropped: {MOST_WAITING} are waiting already");
        }
        Ok(())
    }
}

fn transport(settings: MailSettings) -> Result<AsyncSmtpTransport<Tokio1Executor>, MailError> {
    let host = settings.host;
    let is_local = host == "localhost"
        || host
            .parse()
            .is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
    let tls = match settings.tls {
        MailTls::StartTls => Tls::Required(TlsParameters::new(host.clone())?),
        MailTls::Implicit => Tls::Wrapper(TlsParameters::new(host.clone())?),
        MailTls::None if is_local => Tls::None,
        MailTls::None => return Err(MailError::Clear(host)),
    };
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
        .port(settings.port)
        .tls(tls)
        .timeout(Some(TIMEOUT));
    if let Some((user, password)) = settings.login {
        let password = String::from_utf8_lossy(password.expose()).into_owned();
        builder = builder.credentials(Credentials::new(user, password));
    }
    Ok(builder.build())
}

async fn send_all(
    transport: AsyncSmtpTransport<Tokio1Executor>,
    mut waiting: mpsc::Receiver<Message>,
) {
    while let Some(message) = waiting.recv().await {
        let mut pause = PAUSE;
        for attempt in 1..=TRIES {
            let Err(error) = transport.send(message.clone()).await else {
                tracing::info!("a mail was sent");
                break;
            };
            // A refusal says why, and may name the receiver: that is for the debug log.
            tracing::debug!(%error, "a mail was refused");
            if error.is_permanent() || attempt == TRIES {
                tracing::error!(attempt, "a mail could not be sent; the debug log says why");
                break;
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(host: &str, tls: MailTls) -> MailSettings {
        MailSettings {
            from: "Sluice <noreply@example.com>".into(),
            host: host.into(),
            port: 25,
            login: None,
            tls,
        }
    }

    #[tokio::test]
    async fn mail_in_the_clear_stays_on_this_machine() {
        let refused = Mailer::start(settings("mail.example.com", MailTls::None));
        assert!(matches!(refused, Err(MailError::Clear(_))), "{refused:?}");
        for (host, tls) in [
            ("localhost", MailTls::None),
            ("127.0.0.1", MailTls::None),
            ("mail.example.com", MailTls::StartTls),
        ] {
            assert!(Mailer::start(settings(host, tls)).is_ok(), "{host}");
        }
    }

    #[tokio::test]
    async fn nothing_that_people_type_becomes_a_header() {
        let mailer = Mailer::start(settings("localhost", MailTls::None)).unwrap();
        let injected = "a@b.org\r\nBcc: everybody@b.org";
        let refused = mailer.send(injected, "x", "y".into());
        assert!(matches!(refused, Err(MailError::Address(_))), "{refused:?}");
        let message = Message::builder()
            .from(mailer.from.clone())
            .to("a@b.org".parse().unwrap())
            .subject("x\r\nBcc: everybody@b.org")
            .body("y".to_owned())
            .unwrap();
        let text = String::from_utf8(message.formatted()).unwrap();
        assert!(!text.contains("\nBcc"), "{text}");
    }
}

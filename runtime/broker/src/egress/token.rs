//! What the credentials add to a request, tokens included: those are had from their endpoint by the same
//! steps that every request takes.

use std::sync::Arc;
use std::time::Duration;

use domain::{Digest, Failure, Secret};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Request, Response};
use tokio::time::Instant;
use url::Url;

use super::attempt::{Miss, Note};
use super::credentials::{Dress, Slot, Way, header_value};
use super::exchange::{Asking, Exchange, Given};
use super::retry::Tries;
use super::tokens::{Held, Place, Used};
use super::{Egress, Level, Line};

/// The most bytes of a token endpoint's answer.
const MAX_ANSWER: usize = 64 << 10;
/// The longest that an exchange takes, retries included.
pub(super) const LONGEST: Duration = Duration::from_secs(60);

impl Egress {
    /// What the slots that are bound to a URL add to a request to it.
    pub(super) async fn dress(
        &self,
        url: &Url,
        deadline: Instant,
    ) -> Result<(Dress, Vec<Used>), Miss> {
        let mut dress = Dress::default();
        let mut tokens = Vec::new();
        for Slot { way, .. } in self.credentials.bound_to(url) {
            match way {
                Way::Header(name, value) => dress.header(name.clone(), value.clone()),
                Way::Query(name, value) => dress.parameter(name, value),
                Way::Token(exchange) => {
                    let used = self
                        .token(exchange, deadline)
                        .await
                        .map_err(without_token)?;
                    self.learn([&used.value]).map_err(without_token)?;
                    let value = header_value(&exchange.slot, "Bearer ", &used.value);
                    dress.header(AUTHORIZATION, value.map_err(without_token)?);
                    tokens.push(used);
                }
            }
        }
        self.credentials.derived.dress(url, &mut dress)?;
        Ok((dress, tokens))
    }

    /// The token in use, or a new one. Whoever comes meanwhile waits for it.
    async fn token(&self, exchange: &Arc<Exchange>, deadline: Instant) -> Result<Used, Failure> {
        let place = self.tokens.place(self.gate.source(), &exchange.slot);
        let turn = place.clone().lock_owned();
        let turn = self.bounded(deadline, Duration::ZERO, turn).await;
        let mut held = turn.map_err(|miss| miss.failure)?;
        held.adopt(exchange.origin);
        if let Some(used) = held.fresh(&place) {
            return Ok(used);
        }
        let under_way = self.tokens.exchanging().await;
        let (line, exchange) = (self.line.clone(), exchange.clone());
        // On a task of its own: the answer may hold a new refresh token, and the old one may be void already. So it is
        // waited for and kept even where the run, and whoever waits for it here, has ended.
        let renewal = tokio::spawn(async move {
            let _under_way = under_way;
            line.renew(&exchange, &place, &mut held).await
        });
        let renewed = self.bounded(deadline, Duration::ZERO, renewal).await;
        renewed
            .map_err(|miss| miss.failure)?
            .unwrap_or_else(|error| Err(Failure::bug(format!("a token could not be had: {error}"))))
    }
}

impl Line {
    pub(super) fn learn<'a>(
        &self,
        secrets: impl IntoIterator<Item = &'a Secret>,
    ) -> Result<(), Failure> {
        let learnt = self.journal.redactor().learn(secrets);
        learnt.map_err(|error| Failure::bug(format!("a token cannot be redacted: {error}")))
    }

    /// Gets a new token, and keeps what came with it.
    async fn renew(
        &self,
        exchange: &Exchange,
        place: &Place,
        held: &mut Held,
    ) -> Result<Used, Failure> {
        let asking = exchange.ask(held.newer.as_ref())?;
        self.learn(&asking.secrets)?;
        let given = self.exchange(exchange, &asking).await?;
        self.learn([&given.token])?;
        self.take_refresh_token(exchange, &given, held).await?;
        self.journal.log(
            Level::Debug,
            &format!(
                "`{}` gave a token for the credential `{}`, good for {} s",
                exchange.url.host_str().unwrap_or_default(),
                exchange.slot,
                given.seconds
            ),
        );
        Ok(held.keep(place, &given))
    }

    /// Keeps the refresh token that took the place of the one that was used, before anything else can
    /// go wrong: the old one may be void.
    async fn take_refresh_token(
        &self,
        exchange: &Exchange,
        given: &Given,
        held: &mut Held,
    ) -> Result<(), Failure> {
        let Some(token) = given.refresh_token.clone() else {
            return Ok(());
        };
        self.learn([&token])?;
        let Some(newer) = exchange.rotated(held.newer.as_ref(), token) else {
            return Ok(());
        };
        let old = held
            .newer
            .as_ref()
            .map_or_else(|| exchange.entered.clone(), |grant| grant.to_value());
        let new = newer.to_value();
        self.learn([&new])?;
        held.rotate(newer, exchange.origin_of(&new));
        let (keeper, source) = (self.keeper.clone(), self.gate.source().clone());
        let slot = exchange.slot.clone();
        let stored =
            tokio::task::spawn_blocking(move || keeper.replace(&source, &slot, &old, &new)).await;
        match stored {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => self.complain(exchange, &failure),
            Err(error) => self.complain(exchange, &error),
        }
        Ok(())
    }

    /// This run goes on with what it has; the next start of the server would not.
    fn complain(&self, exchange: &Exchange, error: &dyn std::fmt::Display) {
        let source = self.gate.source();
        // The run, whose log says it too, may have ended.
        tracing::error!(%source, slot = %exchange.slot, %error, "a new refresh token could not be stored");
        self.journal.log(
            Level::Error,
            &format!(
                "the new refresh token of the credential `{}` could not be stored: {error}; enter it again before the server is restarted",
                exchange.slot
            ),
        );
    }

    /// Asks the token endpoint, again where that is harmless.
    async fn exchange(&self, exchange: &Exchange, asking: &Asking) -> Result<Given, Failure> {
        let deadline = Instant::now() + LONGEST;
        let mut tries = Tries::of(asking.again, &self.timing);
        loop {
            let outcome = self.ask(&exchange.url, asking, deadline).await;
            let wait = tries.wait_after(outcome.as_ref());
            match wait.filter(|wait| Instant::now() + *wait < deadline) {
                Some(wait) => {
                    drop(outcome);
                    let pause = tokio::time::sleep(wait);
                    let paused = self.bounded(deadline, Duration::ZERO, pause).await;
                    paused.map_err(|miss| miss.failure)?;
                }
                None => {
                    let response = outcome.map_err(|miss| miss.failure)?;
                    let status = response.status();
                    let body = self.whole(response, deadline).await?;
                    return exchange.read(status, body.expose());
                }
            }
        }
    }

    async fn ask(&self, url: &Url, asking: &Asking, deadline: Instant) -> Result<Response, Miss> {
        let mut request = Request::new(Method::POST, url.clone());
        *request.headers_mut() = headers(asking.authorization.clone());
        *request.body_mut() = Some(asking.body.expose().to_vec().into());
        let mut note = Note::new();
        let outcome = self.carry(request, deadline, LONGEST, &mut note).await;
        self.write_down(&Method::POST, url, &note, outcome.as_ref());
        outcome
    }

    async fn whole(&self, mut response: Response, deadline: Instant) -> Result<Secret, Failure> {
        let odd = |what: &str| Failure::upstream(format!("the token endpoint's answer {what}"));
        let read = async {
            let mut body = Vec::new();
            while let Some(chunk) = response.chunk().await.map_err(|_| odd("broke off"))? {
                if body.len() + chunk.len() > MAX_ANSWER {
                    return Err(odd("is too large"));
                }
                body.extend_from_slice(&chunk);
            }
            Ok(Secret::new(body))
        };
        let read = self.bounded(deadline, LONGEST, read).await;
        read.map_err(|miss| miss.failure)?
    }
}

impl Exchange {
    /// What a run will have as its origin whose credential is this value.
    fn origin_of(&self, value: &Secret) -> Digest {
        Digest::of(&[self.scheme.as_slice(), value.expose()].concat())
    }
}

fn headers(authorization: Option<HeaderValue>) -> HeaderMap {
    let form = HeaderValue::from_static("application/x-www-form-urlencoded");
    let json = HeaderValue::from_static("application/json");
    let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, form), (ACCEPT, json)]);
    headers.extend(authorization.map(|value| (AUTHORIZATION, value)));
    headers
}

/// Nothing was sent to the service itself.
fn without_token(failure: Failure) -> Miss {
    Miss::host("failed: there is no token".into(), failure)
}

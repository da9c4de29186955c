//! Signing in by any provider that speaks OpenID Connect: the authorization code flow with PKCE, a
//! nonce and a state, and an ID token whose signature, issuer, audience and expiry are checked.
//!
//! Whoever calls keeps the [`Flow`] between the two halves, bound to the browser that began it.

mod claims;
mod known;

use std::borrow::Cow;

use domain::{Digest, Secret};
use openidconnect::core::{CoreAuthenticationFlow, CoreErrorResponseType, CoreRequestTokenError};
use openidconnect::{
    AccessTokenHash, AuthorizationCode, ClaimsVerificationError, ConfigurationError, CsrfToken,
    Nonce, OAuth2TokenResponse as _, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope,
    SignatureVerificationError, TokenResponse as _, UserInfoError,
};
use thiserror::Error;
use url::Url;

use crate::fetch::{Fetch, FetchError, private_url};
use claims::{Facts, IdClaims, UserInfo};
use known::{Answer, Cache, Known};

pub use claims::Person;
pub(crate) use claims::group_names;

/// The most characters of a code: providers that make them of signed text stay below 2,048.
const MOST_CODE: usize = 4_096;
/// 256 bits, in a state that an attacker would have to guess.
const STATE_BYTES: u32 = 32;

/// What is known of a provider beforehand.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What it is called here.
    pub name: String,
    /// The issuer, exactly as the provider writes it.
    pub issuer: String,
    /// What the provider calls us.
    pub client_id: String,
    /// What we prove ourselves with; none for a public client.
    pub client_secret: Option<Secret>,
    /// What is asked for beside `openid`.
    pub scopes: Vec<String>,
    /// The claim that names a person's groups.
    pub groups_claim: Option<String>,
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why somebody could not sign in. The words are for that person; the source is for the log.
#[derive(Debug, Error)]
pub enum OidcError {
    /// The settings make no sense.
    #[error("the provider of identities is not set up correctly; ask an admin")]
    Settings(#[source] Cause),
    /// The provider does not answer, or says what cannot be understood.
    #[error("the provider of identities cannot be reached; try again in a moment")]
    Unreachable(#[source] Cause),
    /// The provider does not accept the code, or us.
    #[error("the provider of identities did not confirm the sign-in; try again")]
    Refused(#[source] Cause),
    /// What the provider answers is not to be believed.
    #[error("the answer of the provider of identities is not valid; ask an admin")]
    Invalid(#[source] Cause),
}

/// A sign-in that has begun.
#[derive(Debug)]
pub struct Begun {
    /// Where the browser goes.
    pub url: Url,
    /// What has to be kept until it comes back.
    pub flow: Flow,
}

/// What belongs to one sign-in and must never leave the server, but for the state.
#[derive(Debug)]
pub struct Flow {
    state: CsrfToken,
    nonce: Nonce,
    verifier: PkceCodeVerifier,
    redirect_url: RedirectUrl,
}

impl Flow {
    /// Whether this state is the one that was sent along. Takes the same time for any other.
    pub fn is_answered_by(&self, state: &str) -> bool {
        Digest::of(state.as_bytes()) == Digest::of(self.state.secret().as_bytes())
    }
}

/// A provider of identities.
#[derive(Debug)]
pub struct Provider {
    settings: Settings,
    fetch: Fetch,
    known: Cache,
}

impl Provider {
    /// Looks at the settings; the provider itself is not asked before somebody signs in.
    ///
    /// # Errors
    /// [`OidcError::Settings`] when the issuer is no https address, or the secret no text.
    pub fn new(settings: Settings) -> Result<Self, OidcError> {
        let wrong = |error: FetchError| OidcError::Settings(error.into());
        private_url(&settings.issuer).map_err(wrong)?;
        let fetch = Fetch::new().map_err(wrong)?;
        let known = Cache::new(&settings)?;
        Ok(Self {
            settings,
            fetch,
            known,
        })
    }

    /// What it is called here.
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// The issuer, exactly as the provider writes it.
    pub fn issuer(&self) -> &str {
        &self.settings.issuer
    }

    /// Begins a sign-in that comes back to this address.
    ///
    /// # Errors
    /// [`OidcError::Unreachable`], [`OidcError::Settings`].
    pub async fn begin(&self, redirect_url: &str) -> Result<Begun, OidcError> {
        let redirect_url = RedirectUrl::new(redirect_url.to_owned());
        let redirect_url = redirect_url.map_err(|error| OidcError::Settings(error.into()))?;
        let known = self.known.get(&self.fetch).await?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let request = known.client.authorize_url(
            CoreAuthenticationFlow::AuthorizationCode,
            || CsrfToken::new_random_len(STATE_BYTES),
            || Nonce::new_random_len(STATE_BYTES),
        );
        let scopes = self.settings.scopes.iter().cloned().map(Scope::new);
        let (url, state, nonce) = request
            .add_scopes(scopes)
            .set_pkce_challenge(challenge)
            .set_redirect_uri(Cow::Borrowed(&redirect_url))
            .url();
        let flow = Flow {
            state,
            nonce,
            verifier,
            redirect_url,
        };
        Ok(Begun { url, flow })
    }

    /// Ends a sign-in by the code that the browser has brought back. The state must have been
    /// compared before.
    ///
    /// # Errors
    /// [`OidcError::Refused`] when the provider does not accept the code, [`OidcError::Invalid`] when
    /// its answer does not prove who it is about, [`OidcError::Unreachable`].
    pub async fn finish(&self, code: &str, flow: Flow) -> Result<Person, OidcError> {
        if code.is_empty() || code.len() > MOST_CODE {
            return Err(OidcError::Refused("no such code is given out".into()));
        }
        let known = self.known.get(&self.fetch).await?;
        let (answer, nonce) = self.exchange(&known, code, flow).await?;
        let mut facts = match verified(&known, &answer, &nonce) {
            // The provider may have begun to sign with a new key.
            Err(error) if is_unknown_key(&error) => {
                let known = self.known.renew(&known, &self.fetch).await?;
                Facts::of_token(verified(&known, &answer, &nonce).map_err(invalid)?)
            }
            claims => Facts::of_token(claims.map_err(invalid)?),
        };
        if facts.lack(self.settings.groups_claim.as_deref()) {
            self.ask_more(&known, &answer, &mut facts).await?;
        }
        let claim = self.settings.groups_claim.as_deref();
        facts.person(&self.settings.issuer, claim)
    }

    async fn exchange(
        &self,
        known: &Known,
        code: &str,
        flow: Flow,
    ) -> Result<(Answer, Nonce), OidcError> {
        let unset = |error: ConfigurationError| OidcError::Unreachable(error.into());
        let code = AuthorizationCode::new(code.to_owned());
        let request = known.client.exchange_code(code).map_err(unset)?;
        let answer = request
            .set_pkce_verifier(flow.verifier)
            .set_redirect_uri(Cow::Borrowed(&flow.redirect_url))
            .request_async(&self.fetch)
            .await
            .map_err(not_exchanged)?;
        Ok((answer, flow.nonce))
    }

    /// Asks for what the ID token leaves out, as most providers do in this flow.
    async fn ask_more(
        &self,
        known: &Known,
        answer: &Answer,
        facts: &mut Facts,
    ) -> Result<(), OidcError> {
        let token = answer.access_token().clone();
        let subject = facts.subject.clone();
        let Ok(request) = known.client.user_info(token, Some(subject)) else {
            return Ok(());
        };
        let info: UserInfo = request.request_async(&self.fetch).await.map_err(not_told)?;
        facts.complete(&info);
        Ok(())
    }
}

/// The claims of an answer's ID token, once all of its promises hold.
fn verified<'a>(
    known: &Known,
    answer: &'a Answer,
    nonce: &Nonce,
) -> Result<&'a IdClaims, ClaimsVerificationError> {
    let other = |words: &str| ClaimsVerificationError::Other(words.to_owned());
    let token = answer.id_token().ok_or_else(|| other("no ID token"))?;
    let verifier = known.verifier();
    let claims = token.claims(&verifier, nonce)?;
    if let Some(expected) = claims.access_token_hash() {
        let failed = ClaimsVerificationError::SignatureVerification;
        let algorithm = token
            .signing_alg()
            .map_err(|error| other(&error.to_string()))?;
        let key = token.signing_key(&verifier).map_err(failed)?;
        let actual = AccessTokenHash::from_token(answer.access_token(), algorithm, key);
        if actual.map_err(|error| other(&error.to_string()))? != *expected {
            return Err(other("the access token belongs to another ID token"));
        }
    }
    Ok(claims)
}

fn is_unknown_key(error: &ClaimsVerificationError) -> bool {
    use SignatureVerificationError::{AmbiguousKeyId, CryptoError, NoMatchingKey};
    let ClaimsVerificationError::SignatureVerification(error) = error else {
        return false;
    };
    // A key without a name is found by its kind, and then does not fit.
    matches!(error, NoMatchingKey | AmbiguousKeyId(_) | CryptoError(_))
}

fn invalid(error: ClaimsVerificationError) -> OidcError {
    OidcError::Invalid(error.into())
}

fn not_exchanged(error: CoreRequestTokenError<FetchError>) -> OidcError {
    match error {
        // What the provider adds in words may name the person.
        CoreRequestTokenError::ServerResponse(answer) => {
            let code: &CoreErrorResponseType = answer.error();
            OidcError::Refused(code.as_ref().to_owned().into())
        }
        CoreRequestTokenError::Request(error) => OidcError::Unreachable(error.into()),
        CoreRequestTokenError::Parse(error, _) => OidcError::Invalid(error.into()),
        CoreRequestTokenError::Other(words) => OidcError::Invalid(words.into()),
    }
}

fn not_told(error: UserInfoError<FetchError>) -> OidcError {
    match error {
        UserInfoError::Request(error) => OidcError::Unreachable(error.into()),
        // Its words hold both subjects, which some providers make of addresses.
        UserInfoError::ClaimsVerification(_) => {
            OidcError::Invalid("the person's data are not about this person".into())
        }
        error => OidcError::Invalid(error.into()),
    }
}

/// Whether an e-mail address is of one of these domains: exactly, not of one below it.
pub fn domain_allowed(email: &str, allowed: &[String]) -> bool {
    let Some((name, domain)) = email.rsplit_once('@') else {
        return false;
    };
    let domain = domain.to_lowercase();
    !name.is_empty() && !domain.is_empty() && allowed.iter().any(|one| one.to_lowercase() == domain)
}

#[cfg(test)]
mod tests;

//! What a provider publishes about itself, kept for a while: where its endpoints are, and the keys
//! that it signs with.

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::Secret;
use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreClientAuthMethod, CoreErrorResponseType, CoreGenderClaim,
    CoreIdTokenVerifier, CoreJsonWebKey, CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm, CoreProviderMetadata, CoreRevocableToken, CoreRevocationErrorResponse,
    CoreTokenIntrospectionResponse, CoreTokenType,
};
use openidconnect::{
    AuthType, ClientId, ClientSecret, EmptyExtraTokenFields, EndpointMaybeSet, EndpointNotSet,
    EndpointSet, IdTokenFields, IssuerUrl, StandardErrorResponse, StandardTokenResponse,
};
use tokio::sync::Mutex;

use super::claims::Extra;
use super::{OidcError, Settings};
use crate::fetch::{Fetch, private_url};

/// Endpoints move rarely; keys are fetched anew when one is missing.
const FRESH: Duration = Duration::from_secs(3_600);
/// A provider that did not answer is left alone so long, so that those who wait do not queue up.
const PAUSE: Duration = Duration::from_secs(5);

type Fields = IdTokenFields<
    Extra,
    EmptyExtraTokenFields,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
>;

/// What is given for a code.
pub(super) type Answer = StandardTokenResponse<Fields, CoreTokenType>;

type Client = openidconnect::Client<
    Extra,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    Answer,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// What a provider has published.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) client: Client,
    algorithms: Vec<CoreJwsSigningAlgorithm>,
    since: Instant,
}

impl Known {
    /// Checks ID tokens by the provider's public keys. Never by the client's secret, which admins,
    /// scripts and backups may know.
    pub(super) fn verifier(&self) -> CoreIdTokenVerifier<'_> {
        let verifier = self.client.id_token_verifier();
        verifier.set_allowed_algs(self.algorithms.iter().cloned())
    }
}

#[derive(Debug)]
enum Slot {
    Empty,
    Full(Arc<Known>),
    Failed(Instant),
}

/// Fetches at most once at a time.
#[derive(Debug)]
pub(super) struct Cache {
    issuer: IssuerUrl,
    client_id: ClientId,
    client_secret: Option<ClientSecret>,
    slot: Mutex<Slot>,
}

impl Cache {
    pub(super) fn new(settings: &Settings) -> Result<Self, OidcError> {
        let issuer = IssuerUrl::new(settings.issuer.clone());
        let secret = settings.client_secret.as_ref().map(text).transpose()?;
        Ok(Self {
            issuer: issuer.map_err(|error| OidcError::Settings(error.into()))?,
            client_id: ClientId::new(settings.client_id.clone()),
            client_secret: secret.map(ClientSecret::new),
            slot: Mutex::new(Slot::Empty),
        })
    }

    /// What is known, fetched where that is too long ago.
    pub(super) async fn get(&self, fetch: &Fetch) -> Result<Arc<Known>, OidcError> {
        let mut slot = self.slot.lock().await;
        match &*slot {
            Slot::Full(known) if known.since.elapsed() < FRESH => return Ok(known.clone()),
            Slot::Failed(when) if when.elapsed() < PAUSE => {
                let words = "it did not answer a moment ago";
                return Err(OidcError::Unreachable(words.into()));
            }
            _ => {}
        }
        self.fill(&mut slot, fetch).await
    }

    /// What is known after this turned out to be too old.
    pub(super) async fn renew(&self, old: &Known, fetch: &Fetch) -> Result<Arc<Known>, OidcError> {
        let mut slot = self.slot.lock().await;
        match &*slot {
            // Somebody else has done it in the meantime.
            Slot::Full(known) if known.since > old.since => Ok(known.clone()),
            _ => self.fill(&mut slot, fetch).await,
        }
    }

    async fn fill(&self, slot: &mut Slot, fetch: &Fetch) -> Result<Arc<Known>, OidcError> {
        let fetched = self.fetch(fetch).await;
        *slot = match &fetched {
            Ok(known) => Slot::Full(known.clone()),
            Err(_) => Slot::Failed(Instant::now()),
        };
        fetched
    }

    async fn fetch(&self, fetch: &Fetch) -> Result<Arc<Known>, OidcError> {
        let metadata = CoreProviderMetadata::discover_async(self.issuer.clone(), fetch).await;
        let metadata = metadata.map_err(|error| OidcError::Unreachable(error.into()))?;
        // Requests of our own are checked one by one; there the browser goes.
        private_url(metadata.authorization_endpoint().as_str())
            .map_err(|error| OidcError::Invalid(error.into()))?;
        let algorithms = asymmetric(metadata.id_token_signing_alg_values_supported());
        let auth_type = auth_type(&metadata);
        let (id, secret) = (self.client_id.clone(), self.client_secret.clone());
        let client = Client::from_provider_metadata(metadata, id, secret);
        Ok(Arc::new(Known {
            client: client.set_auth_type(auth_type),
            algorithms,
            since: Instant::now(),
        }))
    }
}

fn text(secret: &Secret) -> Result<String, OidcError> {
    let text = String::from_utf8(secret.expose().to_vec());
    text.map_err(|_| OidcError::Settings("the client's secret is no text".into()))
}

fn asymmetric(offered: &[CoreJwsSigningAlgorithm]) -> Vec<CoreJwsSigningAlgorithm> {
    use CoreJwsSigningAlgorithm::{
        EcdsaP256Sha256, EcdsaP384Sha384, EdDsa, RsaSsaPkcs1V15Sha256, RsaSsaPkcs1V15Sha384,
        RsaSsaPkcs1V15Sha512, RsaSsaPssSha256, RsaSsaPssSha384, RsaSsaPssSha512,
    };
    let taken = [
        RsaSsaPkcs1V15Sha256,
        RsaSsaPkcs1V15Sha384,
        RsaSsaPkcs1V15Sha512,
        RsaSsaPssSha256,
        RsaSsaPssSha384,
        RsaSsaPssSha512,
        EcdsaP256Sha256,
        EcdsaP384Sha384,
        EdDsa,
    ];
    let both = offered.iter().filter(|one| taken.contains(one));
    both.cloned().collect()
}

/// In the header, as is the rule, unless the provider takes the secret in the body alone.
fn auth_type(metadata: &CoreProviderMetadata) -> AuthType {
    let methods = metadata.token_endpoint_auth_methods_supported();
    let takes = |method| methods.is_some_and(|methods| methods.contains(&method));
    let (basic, post) = (
        CoreClientAuthMethod::ClientSecretBasic,
        CoreClientAuthMethod::ClientSecretPost,
    );
    if takes(post) && !takes(basic) {
        AuthType::RequestBody
    } else {
        AuthType::BasicAuth
    }
}

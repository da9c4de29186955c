//! By whom a request is made, as handlers take it: the principal that the guard has let in, and what
//! the audit says about it.

use std::net::IpAddr;
use std::ops::Deref;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use domain::Principal;
use domain::access::Means;
use serde_json::Value;
use uuid::Uuid;
use warehouse::AuditEntry;

use crate::app::AppState;
use crate::error::{ApiError, ApiResult};
use crate::middleware::client_address::ClientAddress;
use crate::middleware::request_id::RequestId;

/// Where a request comes from, whoever makes it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Caller {
    /// The client's address.
    pub(crate) address: Option<IpAddr>,
    /// The request, as the log names it.
    pub(crate) request_id: Option<String>,
    /// The session that its browser has already.
    pub(crate) session: Option<Uuid>,
}

impl Caller {
    pub(crate) fn of(parts: &Parts) -> Self {
        let extensions = &parts.extensions;
        Self {
            address: extensions.get::<ClientAddress>().map(|address| address.0),
            request_id: extensions.get::<RequestId>().map(|id| id.0.clone()),
            session: extensions
                .get::<Principal>()
                .filter(|principal| principal.means == Means::Session)
                .map(|principal| principal.token),
        }
    }

    /// What the audit says about something that is done without a principal.
    pub(crate) fn entry(&self, action: &'static str, resource: impl Into<String>) -> AuditEntry {
        AuditEntry {
            resource: Some(resource.into()),
            result: Some("ok".into()),
            address: self.address,
            request_id: self.request_id.clone(),
            ..AuditEntry::new(action)
        }
    }
}

impl FromRequestParts<AppState> for Caller {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, Self::Rejection> {
        Ok(Self::of(parts))
    }
}

/// Who makes a request. Exists only where the guard has let the request in.
#[derive(Debug, Clone)]
pub(crate) struct By {
    principal: Principal,
    caller: Caller,
}

impl Deref for By {
    type Target = Principal;
    fn deref(&self) -> &Principal {
        &self.principal
    }
}

impl By {
    /// Where the request comes from.
    pub(crate) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// What the audit says about something that is being done.
    pub(crate) fn entry(&self, action: &'static str, resource: impl Into<String>) -> AuditEntry {
        AuditEntry {
            user: Some(self.principal.user),
            token: Some(self.principal.token),
            ..self.caller.entry(action, resource)
        }
    }

    /// The same with more that tells it apart: no secrets, no addresses.
    pub(crate) fn entry_with(
        &self,
        action: &'static str,
        resource: impl Into<String>,
        params: Value,
    ) -> AuditEntry {
        AuditEntry {
            params,
            ..self.entry(action, resource)
        }
    }
}

impl FromRequestParts<AppState> for By {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> ApiResult<Self> {
        let principal = parts.extensions.get::<Principal>().cloned();
        let principal = principal
            .ok_or_else(|| ApiError::internal("a handler wants a principal on a public route"))?;
        Ok(Self {
            principal,
            caller: Caller::of(parts),
        })
    }
}

/// Whether a page is shown to somebody who has signed in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SignedIn(pub(crate) bool);

impl FromRequestParts<AppState> for SignedIn {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, Self::Rejection> {
        Ok(Self(parts.extensions.get::<Principal>().is_some()))
    }
}

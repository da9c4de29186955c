//! Connectors as the host keeps them: immutable versions, signed by publishers.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::manifest::Manifest;

/// The holder of a signing key that an admin trusts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publisher {
    /// For lists; unique.
    pub name: String,
    /// The ed25519 public key, 32 bytes as 64 hexadecimal digits.
    pub public_key: String,
    /// When it was trusted.
    pub added_at: Timestamp,
}

/// One immutable build of a connector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Version {
    /// The sha256 of the component's bytes; the version's name.
    pub digest: Digest,
    /// What it says about itself.
    pub manifest: Manifest,
    /// The name of the publisher whose key signed it.
    pub publisher: String,
    /// Whether an admin trusts this build to run.
    pub trusted: bool,
    /// Size of the component.
    pub size_bytes: u64,
    /// The sha256 of the compiled form that the host recorded, and the engine that made it.
    pub compiled: Option<Compiled>,
    /// When it was uploaded.
    pub uploaded_at: Timestamp,
}

/// The compiled form of a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compiled {
    /// The sha256 of the compiled bytes.
    pub digest: Digest,
    /// Names the engine's version and settings; a form of another engine is compiled anew.
    pub engine: String,
}

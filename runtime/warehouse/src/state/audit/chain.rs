//! What makes the audit log a chain: the hash of an entry, and the walk that finds the first place
//! where it does not hold. Nothing here touches the database.

use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use thiserror::Error;

use domain::Digest;

/// Sets these hashes apart from all others, and from those of another encoding.
const ENCODING: &[u8] = b"sluice audit log 1\n";

/// The action with which retention vouches for the anchor it left.
pub(super) const EXPIRED: &str = "audit.expire";

/// An entry as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditRecord {
    /// Counts from 1 without gaps.
    pub seq: u64,
    /// Names the entry.
    pub id: String,
    /// When, to the microsecond.
    pub timestamp: Timestamp,
    /// Who.
    pub user_id: Option<String>,
    /// The token that acted for the user.
    pub token_id: Option<String>,
    /// What was done.
    pub action: String,
    /// On what.
    pub resource: Option<String>,
    /// What else tells it apart, as JSON text.
    #[serde(serialize_with = "as_json")]
    pub params: Option<String>,
    /// How it ended.
    pub result: Option<String>,
    /// How long it took.
    pub duration_ms: Option<i32>,
    /// From where.
    pub address: Option<String>,
    /// The request.
    pub request_id: Option<String>,
    /// The hash of the entry before.
    pub previous_hash: String,
    /// The sha256 over all of the above.
    pub hash: String,
}

/// Where the chain begins and ends, as it is noted beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::state) struct Chain {
    pub(in crate::state) head_seq: u64,
    pub(in crate::state) head_hash: String,
    /// The last entry that retention removed; 0 where it never did.
    pub(in crate::state) anchor_seq: u64,
    pub(in crate::state) anchor_hash: String,
    pub(in crate::state) removed: u64,
}

/// What a check of the log found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditReport {
    /// How many entries there are.
    pub entries: u64,
    /// How many retention has removed.
    pub removed: u64,
    /// The number of the newest entry.
    pub head_seq: u64,
    /// Its hash: kept elsewhere, it shows later that nothing was cut off.
    pub head: String,
    /// The first place where the chain does not hold.
    pub first_break: Option<AuditBreak>,
}

/// A place where the chain does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Error)]
#[error("at entry {seq}: {fault}")]
pub struct AuditBreak {
    /// The number of the entry.
    pub seq: u64,
    /// What is wrong there.
    pub fault: AuditFault,
}

/// What can be wrong with the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Error)]
#[serde(rename_all = "kebab-case")]
pub enum AuditFault {
    /// A number is left out or comes twice.
    #[error("it is missing, or another one has its number")]
    Numbering,
    /// The previous hash is another one's.
    #[error("it does not follow the entry before it")]
    Unlinked,
    /// The hash does not cover what the row says.
    #[error("it was altered")]
    Altered,
    /// The walk ends elsewhere than the head says.
    #[error("entries after it were removed or added behind the server's back")]
    End,
    /// No entry tells of the removal that the anchor stands for.
    #[error("entries before it were removed, and not by retention")]
    Unvouched,
    /// A head that was noted earlier is not in the log.
    #[error(
        "the head that was noted is not in the log up to here: entries were cut off, or retention has removed it since"
    )]
    HeadMissing,
}

impl AuditRecord {
    /// The hash that the entry must have. Each field is written with its length, or as missing, so
    /// that no two entries have one encoding.
    pub fn computed_hash(&self) -> String {
        let mut bytes = ENCODING.to_vec();
        let duration = self.duration_ms.map(i32::to_be_bytes);
        let fields = [
            Some(self.previous_hash.as_bytes()),
            Some(&self.seq.to_be_bytes()),
            Some(self.id.as_bytes()),
            Some(&self.timestamp.as_microsecond().to_be_bytes()),
            self.user_id.as_deref().map(str::as_bytes),
            self.token_id.as_deref().map(str::as_bytes),
            Some(self.action.as_bytes()),
            self.resource.as_deref().map(str::as_bytes),
            self.params.as_deref().map(str::as_bytes),
            self.result.as_deref().map(str::as_bytes),
            duration.as_ref().map(<[u8; 4]>::as_slice),
            self.address.as_deref().map(str::as_bytes),
            self.request_id.as_deref().map(str::as_bytes),
        ];
        for field in fields {
            bytes.push(u8::from(field.is_some()));
            let field = field.unwrap_or_default();
            bytes.extend((field.len() as u64).to_be_bytes());
            bytes.extend(field);
        }
        Digest::of(&bytes).to_string()
    }

    /// Whether retention vouches here for this anchor.
    fn vouches_for(&self, chain: &Chain) -> bool {
        if self.action != EXPIRED {
            return false;
        }
        let params = self.params.as_deref().unwrap_or_default();
        let params: Value = serde_json::from_str(params).unwrap_or_default();
        params == anchor_params(chain)
    }
}

/// What retention writes down about the anchor it leaves.
pub(super) fn anchor_params(chain: &Chain) -> Value {
    serde_json::json!({
        "last_seq": chain.anchor_seq,
        "last_hash": chain.anchor_hash,
        "removed": chain.removed,
    })
}

/// Follows the chain entry by entry and keeps the first break.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    chain: &'a Chain,
    /// A head that was noted earlier.
    noted: Option<String>,
    pub(super) seq: u64,
    pub(super) hash: String,
    entries: u64,
    vouched: bool,
    pub(super) first_break: Option<AuditBreak>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(chain: &'a Chain, noted: Option<&Digest>) -> Self {
        let noted = noted.map(Digest::to_string);
        Self {
            // What has been removed since is still known by its hash where it was the last.
            noted: noted.filter(|noted| *noted != chain.anchor_hash),
            seq: chain.anchor_seq,
            hash: chain.anchor_hash.clone(),
            entries: 0,
            vouched: chain.anchor_seq == 0,
            first_break: None,
            chain,
        }
    }

    pub(super) fn step(&mut self, record: AuditRecord) {
        let next = self.seq + 1;
        if record.seq != next {
            self.broken(next, AuditFault::Numbering);
        } else if record.previous_hash != self.hash {
            self.broken(next, AuditFault::Unlinked);
        } else if record.computed_hash() != record.hash {
            self.broken(next, AuditFault::Altered);
        }
        self.entries += 1;
        self.vouched |= record.vouches_for(self.chain);
        self.noted.take_if(|noted| *noted == record.hash);
        self.seq = record.seq;
        self.hash = record.hash;
    }

    /// The verdict, where the table has so many rows.
    pub(super) fn finish(mut self, rows: u64) -> AuditReport {
        if rows != self.entries {
            self.broken(self.seq, AuditFault::Numbering);
        }
        if (self.seq, &self.hash) != (self.chain.head_seq, &self.chain.head_hash) {
            self.broken(self.seq, AuditFault::End);
        }
        if !self.vouched {
            self.broken(self.chain.anchor_seq + 1, AuditFault::Unvouched);
        }
        if self.noted.is_some() {
            self.broken(self.seq, AuditFault::HeadMissing);
        }
        AuditReport {
            entries: rows,
            removed: self.chain.removed,
            head_seq: self.seq,
            head: self.hash,
            first_break: self.first_break,
        }
    }

    fn broken(&mut self, seq: u64, fault: AuditFault) {
        self.first_break.get_or_insert(AuditBreak { seq, fault });
    }
}

/// A time that somebody moved out of all bounds becomes one that cannot carry the right hash.
pub(super) fn micros(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MIN)
}

/// As JSON where it is, which it is unless somebody altered it; else as text.
fn as_json<S: Serializer>(params: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    let Some(text) = params else {
        return serializer.serialize_none();
    };
    match serde_json::from_str::<Value>(text) {
        Ok(value) => value.serialize(serializer),
        Err(_) => serializer.serialize_str(text),
    }
}

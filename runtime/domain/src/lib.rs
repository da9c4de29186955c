//! What things are and what is allowed: the vocabulary that every other crate shares.
//!
//! Pure rules and plain data. Nothing here does I/O, knows an async runtime, or names a heavy
//! dependency, so its tests take less than a second.

pub mod access;
pub mod address;
pub mod cancel;
pub mod capability;
pub mod connector;
pub mod credential;
pub mod description;
pub mod digest;
pub mod failure;
pub mod format;
pub mod host_rule;
pub mod knowledge;
pub mod limits;
pub mod manifest;
pub mod marketplace;
pub mod metric;
pub mod names;
pub mod notify;
pub mod people;
pub mod ports;
pub mod preference;
pub mod protocol;
pub mod registry;
pub mod request;
pub mod run;
pub mod schedule;
pub mod schema_change;
pub mod scheme;
pub mod secret;
pub mod series;
pub mod source;
pub mod sql_ident;
pub mod table;
pub mod table_rule;
pub mod upkeep;
pub mod wall;

pub use access::{Permission, Principal};
pub use cancel::Cancel;
pub use capability::Capabilities;
pub use connector::{Publisher, Version};
pub use description::{ColumnNote, TableProfile};
pub use digest::Digest;
pub use failure::{Failure, FailureKind};
pub use host_rule::HostRule;
pub use limits::Limits;
pub use manifest::Manifest;
pub use marketplace::{Marketplace, Plugin};
pub use metric::MetricDefinition;
pub use names::{Alias, ConnectorName, SlotName, SourceName, TableName};
pub use notify::{Script, TelegramCode, TelegramLink};
pub use people::{DataPackage, Grant, Group, Membership, Origin, Token, TokenKind, User};
pub use preference::{ChoiceKind, SyncChoice};
pub use registry::{PublishedTable, RegisteredTable, SyncReport};
pub use request::{AccessRequest, RequestState};
pub use run::{Operation, Run, RunId, RunState};
pub use schedule::{Schedule, Zone};
pub use secret::Secret;
pub use source::{Mark, Move, MoveKind, Pin, Source, TableMark};
pub use table::{Column, ColumnType, QueryMode, TableInfo, TableSpec, WriteMode};
pub use table_rule::{Partitioning, TableRule, TableRules};
pub use upkeep::{ComparedRun, Comparison, ComparisonState, Played, Policy, UpgradePolicy};

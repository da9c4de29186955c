//! What must hold in the system database although no index holds it. A table that is added adds its
//! rules here.

use std::collections::BTreeSet;
use std::fmt;

/// Something that must hold.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rule {
    /// No two rows of the table have these values, which are never NULL, in common.
    Unique(&'static str, &'static str),
    /// Every value of the column is an id in the other table.
    Refers {
        table: &'static str,
        column: &'static str,
        to: &'static str,
        key: &'static str,
    },
    /// The table has at most so many rows.
    AtMost(&'static str, u32),
}

/// A reference to another table's row.
const fn refers(
    table: &'static str,
    column: &'static str,
    to: &'static str,
    key: &'static str,
) -> Rule {
    Rule::Refers {
        table,
        column,
        to,
        key,
    }
}

pub(super) const RULES: &[Rule] = &[
    Rule::Unique("schema_version", "version"),
    Rule::Unique("publishers", "name"),
    Rule::Unique("publishers", "public_key"),
    Rule::Unique("versions", "digest"),
    Rule::Unique("sources", "lower(name)"),
    refers("sources", "version", "versions", "digest"),
    Rule::Unique("pins", "source, number"),
    refers("pins", "source", "sources", "name"),
    refers("pins", "version", "versions", "digest"),
    Rule::Unique("moves", "source"),
    refers("moves", "source", "sources", "name"),
    refers("moves", "version", "versions", "digest"),
    Rule::Unique("policies", "source"),
    refers("policies", "source", "sources", "name"),
    Rule::Unique("comparisons", "id"),
    refers("comparisons", "source", "sources", "name"),
    Rule::Unique("credentials", "source, slot"),
    refers("credentials", "source", "sources", "name"),
    Rule::Unique("runs", "id"),
    Rule::Unique("run_log", "number"),
    refers("run_log", "run", "runs", "id"),
    Rule::Unique("egress", "number"),
    refers("egress", "run", "runs", "id"),
    Rule::Unique("agendas", "source"),
    refers("agendas", "source", "sources", "name"),
    Rule::Unique("standings", "source"),
    refers("standings", "source", "sources", "name"),
    Rule::Unique("healths", "source"),
    refers("healths", "source", "sources", "name"),
    Rule::Unique("orders", "run"),
    refers("orders", "run", "runs", "id"),
    Rule::Unique("alerts", "id"),
    Rule::Unique("run_series", "run"),
    refers("run_series", "run", "runs", "id"),
    Rule::Unique("users", "id"),
    Rule::Unique("users", "lower(email)"),
    Rule::Unique("tokens", "id"),
    Rule::Unique("tokens", "hash"),
    refers("tokens", "user_id", "users", "id"),
    Rule::Unique("user_groups", "id"),
    Rule::Unique("user_groups", "lower(name)"),
    Rule::Unique("user_group_members", "user_id, group_id, origin"),
    refers("user_group_members", "user_id", "users", "id"),
    refers("user_group_members", "group_id", "user_groups", "id"),
    Rule::Unique("resource_grants", "id"),
    Rule::Unique(
        "resource_grants",
        "group_id, permission, resource_type, lower(resource_id)",
    ),
    refers("resource_grants", "group_id", "user_groups", "id"),
    Rule::Unique("data_packages", "lower(name)"),
    Rule::Unique("data_package_tables", "lower(package), lower(table_name)"),
    refers("data_package_tables", "package", "data_packages", "name"),
    Rule::Unique("identities", "issuer, subject"),
    refers("identities", "user_id", "users", "id"),
    Rule::Unique("links", "purpose, user_id"),
    refers("links", "user_id", "users", "id"),
    Rule::AtMost("bootstrap", 1),
    Rule::AtMost("mask_key", 1),
    Rule::Unique("access_requests", "id"),
    refers("access_requests", "user_id", "users", "id"),
    Rule::Unique("user_sync_settings", "user_id, kind, lower(name)"),
    refers("user_sync_settings", "user_id", "users", "id"),
    Rule::Unique("column_metadata", "lower(table_name), lower(column_name)"),
    Rule::Unique("table_profiles", "lower(table_name)"),
    Rule::Unique("marketplace_registry", "slug"),
    Rule::Unique("marketplace_plugins", "marketplace, name"),
    refers(
        "marketplace_plugins",
        "marketplace",
        "marketplace_registry",
        "slug",
    ),
    Rule::Unique("telegram_links", "user_id"),
    refers("telegram_links", "user_id", "users", "id"),
    Rule::Unique("telegram_codes", "hash"),
    Rule::Unique("telegram_codes", "chat"),
    Rule::Unique("script_registry", "id"),
    Rule::Unique("audit_log", "id"),
    Rule::AtMost("audit_chain", 1),
    Rule::Unique("table_registry", "id"),
    Rule::Unique("sync_state", "table_id"),
    refers("sync_state", "table_id", "table_registry", "id"),
    Rule::Unique("sync_history", "id"),
    Rule::Unique("metric_definitions", "id"),
    Rule::Unique("knowledge_items", "id"),
    Rule::Unique("knowledge_votes", "item_id, user_id"),
    refers("knowledge_votes", "item_id", "knowledge_items", "id"),
    Rule::Unique("knowledge_contradictions", "id"),
    refers(
        "knowledge_contradictions",
        "item_a_id",
        "knowledge_items",
        "id",
    ),
    refers(
        "knowledge_contradictions",
        "item_b_id",
        "knowledge_items",
        "id",
    ),
    Rule::Unique("verification_evidence", "id"),
    refers("verification_evidence", "item_id", "knowledge_items", "id"),
    refers("sync_history", "table_id", "table_registry", "id"),
    Rule::Unique("table_columns", "source, table_name, lower(column_name)"),
    Rule::Unique("schema_changes", "id"),
];

impl Rule {
    pub(super) fn table(&self) -> &'static str {
        match self {
            Self::Unique(table, _) | Self::AtMost(table, _) | Self::Refers { table, .. } => table,
        }
    }

    /// Whether the schema at hand has what the rule is about: an older one may not.
    pub(super) fn applies_to(&self, tables: &BTreeSet<String>) -> bool {
        let target = match self {
            Self::Refers { to, .. } => to,
            _ => self.table(),
        };
        tables.contains(self.table()) && tables.contains(target)
    }

    /// Counts the breaches.
    pub(super) fn sql(&self) -> String {
        match self {
            Self::Unique(table, columns) => format!(
                "SELECT count(*) FROM (SELECT 1 FROM {table} GROUP BY {columns} HAVING count(*) > 1)"
            ),
            Self::Refers {
                table,
                column,
                to,
                key,
            } => format!(
                "SELECT count(*) FROM {table} AS here WHERE {column} IS NOT NULL \
                 AND NOT EXISTS (SELECT 1 FROM {to} AS there WHERE there.{key} = here.{column})"
            ),
            Self::AtMost(table, rows) => {
                format!("SELECT greatest(count(*) - {rows}, 0) FROM {table}")
            }
        }
    }
}

/// Columns only, never values: those may be addresses.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unique(table, columns) => {
                write!(f, "{table}: two rows have the same {columns}")
            }
            Self::Refers {
                table, column, to, ..
            } => write!(f, "{table}: {column} names a row of {to} that is not there"),
            Self::AtMost(table, rows) => write!(f, "{table}: there are more than {rows} rows"),
        }
    }
}

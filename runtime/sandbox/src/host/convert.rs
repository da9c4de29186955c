//! Types of the connector interface ↔ types of `domain`. No logic.

use domain::format::{BodyFormat, Compression, CsvOptions, JsonOptions};
use domain::names::NameError;
use domain::{Column, ColumnType, Failure, FailureKind, TableInfo, TableSpec, WriteMode};

use crate::bindings::v0_1_0::exports::sluice::connector::pull;
use crate::bindings::v0_1_0::sluice::connector::tables as wit;
use crate::bindings::v0_1_0::sluice::connector::types as guest;

/// A failure of the component.
pub(crate) fn failure_from_guest(failure: guest::Failure) -> Failure {
    match failure {
        guest::Failure::Config(message) => Failure::config(message),
        guest::Failure::Auth(message) => Failure::auth(message),
        guest::Failure::RateLimited(limit) => Failure {
            retry_after_seconds: limit.retry_after_seconds,
            ..Failure::new(FailureKind::RateLimited, limit.message)
        },
        guest::Failure::Upstream(message) => Failure::upstream(message),
        guest::Failure::Limit(message) => Failure::limit(message),
        guest::Failure::Bug(message) => Failure::bug(message),
    }
}

/// A failure of the host.
pub(crate) fn failure_to_guest(failure: Failure) -> guest::Failure {
    let Failure { kind, message, retry_after_seconds } = failure;
    match kind {
        FailureKind::Config => guest::Failure::Config(message),
        FailureKind::Auth => guest::Failure::Auth(message),
        FailureKind::RateLimited => guest::Failure::RateLimited(guest::RateLimit { message, retry_after_seconds }),
        FailureKind::Upstream => guest::Failure::Upstream(message),
        FailureKind::Limit => guest::Failure::Limit(message),
        FailureKind::Bug => guest::Failure::Bug(message),
    }
}

/// A name that the component made up wrongly.
pub(crate) fn bad_name(error: &NameError) -> guest::Failure {
    guest::Failure::Bug(error.to_string())
}

fn column_type(column_type: guest::ColumnType) -> ColumnType {
    match column_type {
        guest::ColumnType::Boolean => ColumnType::Boolean,
        guest::ColumnType::Bigint => ColumnType::Bigint,
        guest::ColumnType::Double => ColumnType::Double,
        guest::ColumnType::Decimal(size) => ColumnType::Decimal { precision: size.precision, scale: size.scale },
        guest::ColumnType::Varchar => ColumnType::Varchar,
        guest::ColumnType::Date => ColumnType::Date,
        guest::ColumnType::Timestamp => ColumnType::Timestamp,
        guest::ColumnType::Json => ColumnType::Json,
    }
}

fn columns(columns: Vec<guest::Column>) -> Vec<Column> {
    let column = |column: guest::Column| Column {
        name: column.name,
        column_type: column_type(column.type_),
        description: column.description,
    };
    columns.into_iter().map(column).collect()
}

/// A table as the component opens it.
pub(crate) fn table_spec(spec: wit::TableSpec) -> Result<TableSpec, NameError> {
    Ok(TableSpec {
        name: spec.name.parse()?,
        description: spec.description,
        columns: columns(spec.columns),
        primary_key: spec.primary_key,
        mode: match spec.mode {
            wit::WriteMode::Replace => WriteMode::Replace,
            wit::WriteMode::Append => WriteMode::Append,
            wit::WriteMode::Merge => WriteMode::Merge,
        },
        partition_by: spec.partition_by,
    })
}

/// A table as the component lists it.
pub(crate) fn table_info(info: pull::TableInfo) -> Result<TableInfo, NameError> {
    Ok(TableInfo {
        name: info.name.parse()?,
        description: info.description,
        columns: columns(info.columns),
        primary_key: info.primary_key,
    })
}

fn compression(compression: wit::Compression) -> Compression {
    match compression {
        wit::Compression::None => Compression::None,
        wit::Compression::Gzip => Compression::Gzip,
        wit::Compression::Auto => Compression::Auto,
    }
}

/// How a body is read.
pub(crate) fn body_format(format: wit::BodyFormat) -> BodyFormat {
    match format {
        wit::BodyFormat::Csv(options) => BodyFormat::Csv(CsvOptions {
            delimiter: options.delimiter,
            quote: options.quote,
            header: options.header,
            names: options.names,
            compression: compression(options.compression),
        }),
        wit::BodyFormat::Json(options) => BodyFormat::Json(JsonOptions {
            records: options.records,
            values: options.values,
            compression: compression(options.compression),
        }),
        wit::BodyFormat::Ndjson(kind) => BodyFormat::Ndjson(compression(kind)),
        wit::BodyFormat::Parquet => BodyFormat::Parquet,
        wit::BodyFormat::Arrow => BodyFormat::Arrow,
    }
}

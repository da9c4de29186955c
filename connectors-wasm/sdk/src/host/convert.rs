//! The SDK's types as the connector interface has them, and back.

use crate::bindings::exports::sluice::connector::pull;
use crate::bindings::sluice::connector::{http, run, tables, types};
use crate::http::{Method, Request};
use crate::log::Level;
use crate::{Column, ColumnType, Compression, Failure, Format, TableInfo, TableSpec, WriteMode};

impl From<types::Failure> for Failure {
    fn from(failure: types::Failure) -> Self {
        match failure {
            types::Failure::Config(message) => Self::Config(message),
            types::Failure::Auth(message) => Self::Auth(message),
            types::Failure::RateLimited(limit) => Self::RateLimited {
                message: limit.message,
                retry_after_seconds: limit.retry_after_seconds,
            },
            types::Failure::Upstream(message) => Self::Upstream(message),
            types::Failure::Limit(message) => Self::Limit(message),
            types::Failure::Bug(message) => Self::Bug(message),
        }
    }
}

impl From<Failure> for types::Failure {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Config(message) => Self::Config(message),
            Failure::Auth(message) => Self::Auth(message),
            Failure::RateLimited {
                message,
                retry_after_seconds,
            } => Self::RateLimited(types::RateLimit {
                message,
                retry_after_seconds,
            }),
            Failure::Upstream(message) => Self::Upstream(message),
            Failure::Limit(message) => Self::Limit(message),
            Failure::Bug(message) => Self::Bug(message),
        }
    }
}

impl From<ColumnType> for types::ColumnType {
    fn from(column_type: ColumnType) -> Self {
        match column_type {
            ColumnType::Boolean => Self::Boolean,
            ColumnType::Bigint => Self::Bigint,
            ColumnType::Double => Self::Double,
            ColumnType::Decimal { precision, scale } => {
                Self::Decimal(types::DecimalType { precision, scale })
            }
            ColumnType::Varchar => Self::Varchar,
            ColumnType::Date => Self::Date,
            ColumnType::Timestamp => Self::Timestamp,
            ColumnType::Json => Self::Json,
        }
    }
}

impl From<Column> for types::Column {
    fn from(column: Column) -> Self {
        Self {
            name: column.name,
            type_: column.column_type.into(),
            description: column.description,
        }
    }
}

impl From<TableSpec> for tables::TableSpec {
    fn from(spec: TableSpec) -> Self {
        Self {
            name: spec.name,
            description: spec.description,
            columns: spec.columns.into_iter().map(Into::into).collect(),
            primary_key: spec.primary_key,
            mode: match spec.mode {
                WriteMode::Replace => tables::WriteMode::Replace,
                WriteMode::Append => tables::WriteMode::Append,
                WriteMode::Merge => tables::WriteMode::Merge,
            },
            partition_by: spec.partition_by,
        }
    }
}

impl From<TableInfo> for pull::TableInfo {
    fn from(table: TableInfo) -> Self {
        Self {
            name: table.name,
            description: table.description,
            columns: table.columns.into_iter().map(Into::into).collect(),
            primary_key: table.primary_key,
        }
    }
}

impl From<Compression> for tables::Compression {
    fn from(compression: Compression) -> Self {
        match compression {
            Compression::None => Self::None,
            Compression::Gzip => Self::Gzip,
            Compression::Auto => Self::Auto,
        }
    }
}

impl From<Format> for tables::BodyFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Csv(csv) => Self::Csv(tables::CsvOptions {
                delimiter: csv.delimiter,
                quote: csv.quote,
                header: csv.header,
                names: csv.names,
                compression: csv.compression.into(),
            }),
            Format::Json(json) => Self::Json(tables::JsonOptions {
                records: json.records,
                values: json.values,
                compression: json.compression.into(),
            }),
            Format::Ndjson(compression) => Self::Ndjson(compression.into()),
            Format::Parquet => Self::Parquet,
            Format::Arrow => Self::Arrow,
        }
    }
}

impl From<Request> for http::Request {
    fn from(request: Request) -> Self {
        let headers = request.headers.into_iter();
        Self {
            method: match request.method {
                Method::Get => http::Method::Get,
                Method::Head => http::Method::Head,
                Method::Post => http::Method::Post,
                Method::Put => http::Method::Put,
                Method::Patch => http::Method::Patch,
                Method::Delete => http::Method::Delete,
            },
            url: request.url,
            headers: headers
                .map(|(name, value)| http::Header { name, value })
                .collect(),
            body: request.body,
            timeout_ms: request.timeout_ms,
        }
    }
}

impl From<Level> for run::Level {
    fn from(level: Level) -> Self {
        match level {
            Level::Debug => Self::Debug,
            Level::Info => Self::Info,
            Level::Warn => Self::Warn,
            Level::Error => Self::Error,
        }
    }
}

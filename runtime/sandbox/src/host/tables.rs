//! `tables`: specifications and rows go to the broker, which writes them.

use domain::format::{self, BodyFormat};
use domain::protocol::{Call, Reply};
use domain::{Failure, TableName, TableSpec, WriteMode};
use wasmtime::component::Resource;

use super::Answer;
use super::http::Response;
use crate::bindings::sluice::connector::tables::{self, Host, HostTable};
use crate::guest::Guest;

/// An open table.
#[derive(Debug)]
#[expect(unreachable_pub, reason = "the bindings export it again")]
pub struct Table {
    name: TableName,
}

impl Host for Guest {}

impl HostTable for Guest {
    fn open(&mut self, spec: tables::TableSpec) -> Answer<Resource<Table>> {
        let spec = match table_spec(spec) {
            Ok(spec) => spec,
            Err(failure) => return Ok(Err(failure.into())),
        };
        let name = spec.name.clone();
        match self.tell(Call::OpenTable(spec), &[])? {
            Ok(()) => Ok(Ok(self.resources.push(Table { name })?)),
            Err(failure) => Ok(Err(failure)),
        }
    }

    fn append_body(
        &mut self,
        table: Resource<Table>,
        body: Resource<Response>,
        format: tables::BodyFormat,
    ) -> Answer<tables::Appended> {
        // Consumed in every case: the broker closes it, whatever comes of it.
        let response = self.resources.delete(body)?.id;
        let call = Call::AppendBody {
            table: self.name(&table)?,
            response,
            format: body_format(format),
        };
        self.ask(call, &[], |reply, _| match reply {
            Reply::Appended(appended) => Some(tables::Appended {
                rows: appended.rows,
                values: appended.values,
            }),
            _ => None,
        })
    }

    fn append_json(&mut self, table: Resource<Table>, records: Vec<u8>) -> Answer<u64> {
        let table = self.name(&table)?;
        self.ask(Call::AppendJson { table }, &records, |reply, _| {
            rows(&reply)
        })
    }

    fn append_arrow(&mut self, table: Resource<Table>, ipc_stream: Vec<u8>) -> Answer<u64> {
        let table = self.name(&table)?;
        self.ask(Call::AppendArrow { table }, &ipc_stream, |reply, _| {
            rows(&reply)
        })
    }

    fn drop(&mut self, table: Resource<Table>) -> wasmtime::Result<()> {
        let table = self.resources.delete(table)?.name;
        self.tell(Call::CloseTable { table }, &[]).map(drop)
    }
}

impl Guest {
    fn name(&self, table: &Resource<Table>) -> wasmtime::Result<TableName> {
        Ok(self.resources.get(table)?.name.clone())
    }
}

fn rows(reply: &Reply) -> Option<u64> {
    match reply {
        Reply::Rows { rows } => Some(*rows),
        _ => None,
    }
}

fn table_spec(spec: tables::TableSpec) -> Result<TableSpec, Failure> {
    Ok(TableSpec {
        name: TableName::parse(&spec.name).map_err(|error| Failure::bug(error.to_string()))?,
        description: spec.description,
        columns: spec.columns.into_iter().map(Into::into).collect(),
        primary_key: spec.primary_key,
        mode: match spec.mode {
            tables::WriteMode::Replace => WriteMode::Replace,
            tables::WriteMode::Append => WriteMode::Append,
            tables::WriteMode::Merge => WriteMode::Merge,
        },
        partition_by: spec.partition_by,
    })
}

fn compression(compression: tables::Compression) -> format::Compression {
    match compression {
        tables::Compression::None => format::Compression::None,
        tables::Compression::Gzip => format::Compression::Gzip,
        tables::Compression::Auto => format::Compression::Auto,
    }
}

fn body_format(format: tables::BodyFormat) -> BodyFormat {
    match format {
        tables::BodyFormat::Csv(csv) => BodyFormat::Csv(format::CsvOptions {
            delimiter: csv.delimiter,
            quote: csv.quote,
            header: csv.header,
            names: csv.names,
            compression: compression(csv.compression),
        }),
        tables::BodyFormat::Json(json) => BodyFormat::Json(format::JsonOptions {
            records: json.records,
            values: json.values,
            compression: compression(json.compression),
        }),
        tables::BodyFormat::Ndjson(ndjson) => BodyFormat::Ndjson(compression(ndjson)),
        tables::BodyFormat::Parquet => BodyFormat::Parquet,
        tables::BodyFormat::Arrow => BodyFormat::Arrow,
    }
}

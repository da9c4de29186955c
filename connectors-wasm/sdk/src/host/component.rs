//! Calls of a component: to the imports that `wit-bindgen` made.

use crate::bindings::sluice::connector::{cursors, http, remote, run, tables};
use crate::http::Request;
use crate::log::Level;
use crate::remote::{Attachment, RemoteTable};
use crate::{Appended, Failure, Format, TableSpec};

#[derive(Debug)]
pub(crate) struct Response(http::Response);

impl Response {
    pub(crate) fn status(&self) -> u16 {
        self.0.status()
    }

    pub(crate) fn headers(&self) -> Vec<(String, String)> {
        let headers = self.0.headers().into_iter();
        headers.map(|line| (line.name, line.value)).collect()
    }

    pub(crate) fn read(&mut self, max_bytes: u32) -> Result<Option<Vec<u8>>, Failure> {
        Ok(self.0.read(max_bytes)?)
    }
}

#[derive(Debug)]
pub(crate) struct Table(tables::Table);

impl Table {
    pub(crate) fn open(spec: &TableSpec) -> Result<Self, Failure> {
        Ok(Self(tables::Table::open(&spec.clone().into())?))
    }

    pub(crate) fn append_body(&self, body: Response, format: &Format) -> Result<Appended, Failure> {
        let appended = self.0.append_body(body.0, &format.clone().into())?;
        Ok(Appended {
            rows: appended.rows,
            values: appended.values,
        })
    }

    pub(crate) fn append_json(&self, records: &[u8]) -> Result<u64, Failure> {
        Ok(self.0.append_json(records)?)
    }

    pub(crate) fn append_arrow(&self, stream: &[u8]) -> Result<u64, Failure> {
        Ok(self.0.append_arrow(stream)?)
    }
}

pub(crate) fn send(request: Request) -> Result<Response, Failure> {
    Ok(Response(http::send(&request.into())?))
}

pub(crate) fn cursor(table: &str) -> Option<Vec<u8>> {
    cursors::get(table)
}

pub(crate) fn set_cursor(table: &str, cursor: &[u8]) -> Result<(), Failure> {
    Ok(cursors::set(table, cursor)?)
}

pub(crate) fn log(level: Level, message: &str) {
    run::log(level.into(), message);
}

pub(crate) fn report(message: &str, done: u64, total: Option<u64>) {
    run::report(&run::Progress {
        message: message.to_owned(),
        done,
        total,
    });
}

pub(crate) fn wait(time: std::time::Duration) {
    crate::clock::wait(time);
}

pub(crate) fn checkpoint() -> Result<(), Failure> {
    Ok(run::checkpoint()?)
}

pub(crate) fn attach(attachment: &Attachment) -> Result<(), Failure> {
    let attachment = attachment.clone();
    Ok(remote::attach(&remote::Attachment {
        alias: attachment.alias,
        extension: attachment.extension,
        url: attachment.url,
        credential_slot: attachment.credential_slot,
    })?)
}

pub(crate) fn expose(table: &RemoteTable) -> Result<(), Failure> {
    let table = table.clone();
    Ok(remote::expose(&remote::RemoteTable {
        name: table.name,
        description: table.description,
        alias: table.alias,
        remote_name: table.remote_name,
    })?)
}

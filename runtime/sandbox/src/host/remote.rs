//! `remote`: databases that are attached instead of copied.

use domain::protocol::Call;
use domain::{Alias, Failure, SlotName, TableName, table};

use super::Answer;
use crate::bindings::sluice::connector::remote::{Attachment, Host, RemoteTable};
use crate::guest::Guest;

impl Host for Guest {
    fn attach(&mut self, wanted: Attachment) -> Answer<()> {
        match attachment(wanted) {
            Ok(attachment) => self.tell(Call::Attach(attachment), &[]),
            Err(failure) => Ok(Err(failure.into())),
        }
    }

    fn expose(&mut self, wanted: RemoteTable) -> Answer<()> {
        match remote_table(wanted) {
            Ok(table) => self.tell(Call::Expose(table), &[]),
            Err(failure) => Ok(Err(failure.into())),
        }
    }
}

fn attachment(wanted: Attachment) -> Result<table::Attachment, Failure> {
    let bug = |error: domain::names::NameError| Failure::bug(error.to_string());
    let slot = wanted.credential_slot.as_deref().map(SlotName::parse);
    Ok(table::Attachment {
        alias: Alias::parse(&wanted.alias).map_err(bug)?,
        extension: wanted.extension,
        url: wanted.url,
        credential_slot: slot.transpose().map_err(bug)?,
    })
}

fn remote_table(wanted: RemoteTable) -> Result<table::RemoteTable, Failure> {
    let bug = |error: domain::names::NameError| Failure::bug(error.to_string());
    Ok(table::RemoteTable {
        name: TableName::parse(&wanted.name).map_err(bug)?,
        description: wanted.description,
        alias: Alias::parse(&wanted.alias).map_err(bug)?,
        remote_name: wanted.remote_name,
    })
}

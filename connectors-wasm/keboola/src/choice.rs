//! Which tables a source has: those that the settings name, and those of the buckets that they name.

use std::collections::HashSet;

use connector_sdk::Failure;

use crate::Keboola;
use crate::api::StorageTable;
use crate::settings::{TableSettings, twice};

impl Keboola {
    /// Every table with what Storage says of it; those of the whole project where the settings choose none.
    pub(crate) fn everything(&self) -> Result<Vec<(TableSettings, StorageTable)>, Failure> {
        let settings = &self.settings;
        let mut found = Vec::new();
        for table in &settings.tables {
            let stored = self.api.table(&table.id)?;
            found.push((table.clone(), stored));
        }
        let whole_project = settings.tables.is_empty() && settings.buckets.is_empty();
        let buckets = match whole_project {
            true => {
                let buckets = self.api.buckets()?.into_iter();
                buckets.map(|bucket| bucket.id).collect()
            }
            false => settings.buckets.clone(),
        };
        for bucket in &buckets {
            for stored in self.api.tables_of(bucket)? {
                if !settings.tables.iter().any(|table| table.id == stored.id) {
                    found.push((TableSettings::of(&stored.id), stored));
                }
            }
        }
        named_once(found.iter().map(|(table, _)| table))?;
        Ok(found)
    }

    /// The tables of these names, or all.
    pub(crate) fn chosen(&self, names: &[String]) -> Result<Vec<TableSettings>, Failure> {
        let settings = &self.settings;
        if settings.tables.is_empty() && settings.buckets.is_empty() {
            return Err(Failure::config(
                "the settings choose neither `tables` nor `buckets`; `discover` lists all that there are",
            ));
        }
        let is_called =
            |table: &TableSettings, name: &String| table.name().eq_ignore_ascii_case(name);
        let mut all = settings.tables.clone();
        let known = |name: &String| all.iter().any(|table| is_called(table, name));
        // Buckets are looked into only for what is not known without them.
        if names.is_empty() || !names.iter().all(known) {
            for bucket in &settings.buckets {
                for stored in self.api.tables_of(bucket)? {
                    if !all.iter().any(|table| table.id == stored.id) {
                        all.push(TableSettings::of(&stored.id));
                    }
                }
            }
            named_once(&all)?;
        }
        if names.is_empty() {
            return Ok(all);
        }
        let find = |name: &String| {
            let table = all.iter().find(|table| is_called(table, name));
            table.cloned().ok_or_else(|| {
                Failure::config(format!(
                    "neither the settings nor their buckets have a table `{name}`"
                ))
            })
        };
        names.iter().map(find).collect()
    }
}

fn named_once<'a>(tables: impl IntoIterator<Item = &'a TableSettings>) -> Result<(), Failure> {
    let mut names = HashSet::new();
    for table in tables {
        if !names.insert(table.name().to_ascii_lowercase()) {
            return Err(twice(&table.name(), &table.id));
        }
    }
    Ok(())
}

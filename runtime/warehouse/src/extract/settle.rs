//! Turns what a run has staged for a table into the files that the table has from now on: what stays,
//! and what is written anew. Only what changes is.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use arrow::datatypes::{Schema, SchemaRef};
use domain::{Failure, Partitioning, TableRule, TableSpec};

use super::contents::TableFile;
use super::hashing::Written;
use super::input::{Input, Stored};
use super::keys::{Keys, Left};
use super::known::{self, FileColumns};
use super::split::{NewFile, Splitter, within_most};

/// A file of a table after a publish.
#[derive(Debug, Clone)]
pub(super) enum Settled {
    /// It stays as it is.
    Kept(TableFile),
    /// It lies in the stage.
    New(NewFile),
}

impl Settled {
    fn partition(&self) -> Option<&str> {
        match self {
            Self::Kept(file) => file.partition.as_deref(),
            Self::New(file) => file.partition.as_deref(),
        }
    }
}

/// What there is to settle.
pub(super) struct Settling<'a> {
    pub(super) spec: &'a TableSpec,
    pub(super) rule: &'a TableRule,
    /// The files that the run's rows come to; none where it replaces the table.
    pub(super) earlier: &'a [TableFile],
    /// The staged rows, and their columns as they were found.
    pub(super) staged: Written,
    pub(super) schema: SchemaRef,
    /// Whether keys decide which rows stay.
    pub(super) merge: bool,
    /// Names the next file.
    pub(super) next_path: &'a mut dyn FnMut() -> PathBuf,
    pub(super) written: &'a Arc<AtomicU64>,
}

impl Settling<'_> {
    /// Settles the table, earlier files first.
    pub(super) fn settle(mut self) -> Result<Vec<Settled>, Failure> {
        let staged = FileColumns::staged(&self.schema);
        let files = self.earlier.iter().map(|file| FileColumns::of(&file.path));
        let files = files.collect::<Result<Vec<_>, _>>()?;
        let all = files.iter().chain([&staged]).map(|file| &file.needed);
        let table = known::unify(all);
        let unfit: Vec<bool> = files.iter().map(|file| !file.fit(&table)).collect();
        let files = match self.merge {
            true => self.merge(&table, &staged, &unfit),
            false => self.add(&table, &staged, &unfit),
        }?;
        let partitions: HashSet<_> = files.iter().map(Settled::partition).collect();
        within_most(&self.spec.name, partitions.len())?;
        Ok(files)
    }

    /// The staged rows follow the earlier ones. A file in narrower types is written anew in its place:
    /// DuckDB would write their values as text in other forms, and knows no file of nulls.
    fn add(
        &mut self,
        table: &Schema,
        staged: &FileColumns,
        unfit: &[bool],
    ) -> Result<Vec<Settled>, Failure> {
        let mut files = Vec::new();
        for (file, unfit) in self.earlier.iter().zip(unfit) {
            if !unfit {
                files.push(Settled::Kept(file.clone()));
                continue;
            }
            for written in self
                .splitter(table, None)
                .write(&[Input::all(&file.path)])?
            {
                files.push(Settled::New(NewFile {
                    partition: file.partition.clone(),
                    origin: Some(file.origin.clone().unwrap_or_else(|| file.path.clone())),
                    ..written
                }));
            }
        }
        files.extend(self.staged_alone(table, staged, None)?);
        Ok(files)
    }

    /// Staged rows take the place of those with their keys, wherever these are.
    fn merge(
        &mut self,
        table: &Schema,
        staged: &FileColumns,
        unfit: &[bool],
    ) -> Result<Vec<Settled>, Failure> {
        let Left {
            staged: wins,
            earlier,
        } = self.resolve(table)?;
        if self.earlier.is_empty() {
            return self.staged_alone(table, staged, wins);
        }
        let input = Input {
            path: self.staged.path.clone(),
            keep: wins,
        };
        let by = self.rule.partition_by.as_ref();
        let labels = self
            .splitter(table, by)
            .labels(std::slice::from_ref(&input))?;
        let mut touched: HashSet<Option<String>> = labels.into_iter().collect();
        for ((file, keep), unfit) in self.earlier.iter().zip(&earlier).zip(unfit) {
            // A file of another scheme may hold rows of any partition.
            let foreign = file.partition.is_some() != by.is_some();
            if keep.is_some() || *unfit || foreign {
                touched.insert(file.partition.clone());
            }
        }
        let (mut files, mut inputs) = (Vec::new(), Vec::new());
        for (file, keep) in self.earlier.iter().zip(earlier) {
            match touched.contains(&file.partition) {
                true => inputs.push(Input {
                    path: file.path.clone(),
                    keep,
                }),
                false => files.push(Settled::Kept(file.clone())),
            }
        }
        inputs.push(input);
        let mut new = self.splitter(table, by).write(&inputs)?;
        if new.is_empty() && files.is_empty() {
            new.push(self.without_rows(table)?);
        }
        files.extend(new.into_iter().map(Settled::New));
        Ok(files)
    }

    /// The staged rows as files of their own: the staged one where nothing speaks against it.
    fn staged_alone(
        &mut self,
        table: &Schema,
        staged: &FileColumns,
        keep: Option<arrow::buffer::BooleanBuffer>,
    ) -> Result<Vec<Settled>, Failure> {
        let by = self.rule.partition_by.as_ref();
        if by.is_none() && keep.is_none() && staged.fit(table) {
            return Ok(vec![Settled::New(NewFile::whole(self.staged.clone()))]);
        }
        let input = Input {
            path: self.staged.path.clone(),
            keep,
        };
        let mut new = self.splitter(table, by).write(&[input])?;
        if new.is_empty() {
            new.push(self.without_rows(table)?);
        }
        Ok(new.into_iter().map(Settled::New).collect())
    }

    /// A table of which no row is left keeps its columns.
    fn without_rows(&mut self, table: &Schema) -> Result<NewFile, Failure> {
        let path = (self.next_path)();
        let written = super::encoder::empty(&path, &known::storable_schema(table))?;
        Ok(NewFile::whole(written))
    }

    fn resolve(&self, table: &Schema) -> Result<Left, Failure> {
        let staged = Stored::open(&self.staged.path)?;
        let earlier = self.earlier.iter().map(|file| Stored::open(&file.path));
        let earlier = earlier.collect::<Result<Vec<_>, _>>()?;
        let keys = Keys::new(&self.spec.name, &self.spec.primary_key, table)?;
        keys.resolve(&staged, &earlier, self.rule.tombstone.as_deref())
    }

    fn splitter<'s>(&'s mut self, table: &Schema, by: Option<&'s Partitioning>) -> Splitter<'s> {
        Splitter {
            table: &self.spec.name,
            by,
            schema: known::storable_schema(table),
            next_path: &mut *self.next_path,
            written: self.written,
        }
    }
}

#[cfg(test)]
mod tests;

//! Files from web addresses as tables: CSV, JSON and NDJSON, one address or many, with the pages that follow.
//!
//! No byte of a file enters the sandbox: each response goes to its table unread, and the host returns the next page's
//! address.

mod settings;

use std::collections::HashSet;

use connector_sdk::{
    Connector, Failure, Table, TableInfo, export,
    http::{self, Method, Response, without_query},
    link, progress,
};

pub use settings::{Settings, TableSettings};

/// No honest service has more pages in one table.
const MAX_PAGES: u64 = 100_000;

/// The connector.
#[derive(Debug)]
pub struct Files {
    settings: Settings,
}

export!(Files);

impl Connector for Files {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self, Failure> {
        settings.validate()?;
        Ok(Self { settings })
    }

    fn check(&self) -> Result<(), Failure> {
        for table in &self.settings.tables {
            for url in table.urls() {
                self.try_url(url)
                    .map_err(|failure| failure.at(place(table, url)))?;
            }
        }
        Ok(())
    }

    fn discover(&self) -> Result<Vec<TableInfo>, Failure> {
        let specs = self.settings.tables.iter().map(TableSettings::spec);
        specs.map(|spec| Ok(TableInfo::from(&spec?))).collect()
    }

    fn sync(&self, names: &[String]) -> Result<(), Failure> {
        let chosen = self.chosen(names)?;
        let mut work = Work::new(&chosen);
        for table in chosen {
            let open = Table::open(&table.spec()?)?;
            for url in table.urls() {
                self.bring(table, url, &open, &mut work)?;
            }
        }
        Ok(())
    }
}

impl Files {
    fn chosen(&self, names: &[String]) -> Result<Vec<&TableSettings>, Failure> {
        let tables = &self.settings.tables;
        if names.is_empty() {
            return Ok(tables.iter().collect());
        }
        let find = |name: &String| {
            tables
                .iter()
                .find(|table| table.name.eq_ignore_ascii_case(name))
                .ok_or_else(|| Failure::config(format!("the settings have no table `{name}`")))
        };
        names.iter().map(find).collect()
    }

    fn send(&self, method: Method, url: &str) -> Result<Response, Failure> {
        let headers = self.settings.headers.iter();
        headers
            .fold(http::request(method, url), |request, (name, value)| {
                request.header(name, value)
            })
            .send()
    }

    /// Some services know no HEAD: then GET decides, whose body stays unread.
    fn try_url(&self, url: &str) -> Result<(), Failure> {
        let head = self.send(Method::Head, url)?;
        let response = match head.status() {
            400..=599 => {
                drop(head);
                self.send(Method::Get, url)?
            }
            _ => head,
        };
        response.error_for_status().map(drop)
    }

    /// Brings a URL and the pages that follow it.
    fn bring(
        &self,
        table: &TableSettings,
        first: &str,
        open: &Table,
        work: &mut Work,
    ) -> Result<(), Failure> {
        let format = table.format();
        let mut seen = HashSet::new();
        let mut next = Some(first.to_owned());
        while let Some(url) = next {
            let at = |failure: Failure| failure.at(place(table, &url));
            let response = self.send(Method::Get, &url).map_err(at)?;
            // It names the URL itself.
            let response = response
                .error_for_status()
                .map_err(|failure| failure.at(format!("table `{}`", table.name)))?;
            let appended = open.append_body(response, &format).map_err(at)?;
            work.page(&table.name);
            next = link::following(&url, appended.values.first().cloned().flatten()).map_err(at)?;
            if work.pages > MAX_PAGES {
                return Err(at(Failure::upstream(format!(
                    "there are more than {MAX_PAGES} pages"
                ))));
            }
            seen.insert(url.clone());
            if next.as_ref().is_some_and(|next| seen.contains(next)) {
                return Err(at(Failure::upstream(
                    "the next page is one that was read before",
                )));
            }
        }
        Ok(())
    }
}

fn place(table: &TableSettings, url: &str) -> String {
    format!("table `{}`, {}", table.name, without_query(url))
}

/// How far a run is, for the progress bar.
struct Work {
    pages: u64,
    total: Option<u64>,
}

impl Work {
    fn new(tables: &[&TableSettings]) -> Self {
        let urls: usize = tables.iter().map(|table| table.urls().len()).sum();
        let paged = tables.iter().any(|table| table.next.is_some());
        Self {
            pages: 0,
            total: (!paged).then_some(urls as u64),
        }
    }

    fn page(&mut self, table: &str) {
        self.pages += 1;
        progress(
            &format!("{table}, page {}", self.pages),
            self.pages,
            self.total,
        );
    }
}

#[cfg(test)]
mod tests;

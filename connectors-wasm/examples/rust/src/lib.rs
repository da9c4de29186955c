//! Orders of a shop: follows the pages of its API, and brings what is new since the last run.

use connector_sdk::{
    Connector, Failure, Format, Table, TableInfo, TableSpec, cursor, export, http,
};

#[derive(Debug, serde::Deserialize)]
pub struct Orders {
    url: String,
}

fn orders() -> TableSpec {
    TableSpec::append("orders")
        .primary_key(["id"])
        .description("Orders of the shop")
}

impl Connector for Orders {
    type Settings = Self;
    fn new(settings: Self) -> Result<Self, Failure> {
        Ok(settings)
    }
    fn check(&self) -> Result<(), Failure> {
        http::get(format!("{}/me", self.url)).fetch().map(drop)
    }
    fn discover(&self) -> Result<Vec<TableInfo>, Failure> {
        Ok(vec![TableInfo::from(&orders())])
    }
    fn sync(&self, _tables: &[String]) -> Result<(), Failure> {
        let since = cursor::text("orders").unwrap_or_default();
        let first = format!("{}/orders?since={since}", self.url);
        let format = Format::json_at("/items").value("/changed_until");
        let last = Table::open(&orders())?.append_pages(&first, &format, "/next")?;
        cursor::set("orders", last.text(0)?.as_bytes())
    }
}

export!(Orders);

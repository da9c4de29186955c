//! Where most tests begin: a server with the connector `files`, and a small internet with orders.

use std::ops::Deref;

use integration_tests::{App, Internet, files, outcome};
use serde_json::{Value, json};

/// Three orders, in the types that CSV can have.
pub const ORDERS: &str = "\
id,customer,amount,paid,ordered_on,shipped_at
1,Ada,12.50,true,2026-01-31,2026-02-01T08:00:00Z
2,\"Grace, née Murray\",7,false,2026-02-01,
3,\"two\nlines\",100.25,true,2026-02-02,2026-02-03T09:30:00+02:00
";

/// A server, and the outside that its sources read.
pub struct Shop {
    pub app: App,
    pub internet: Internet,
}

impl Deref for Shop {
    type Target = App;
    fn deref(&self) -> &App {
        &self.app
    }
}

impl Shop {
    /// A server with the connector `files`; `/orders.csv` is served, and nothing was run yet.
    #[track_caller]
    pub fn open() -> Self {
        Self::of(App::start())
    }

    /// The same around a server that was started elsewhere.
    #[track_caller]
    pub fn of(app: App) -> Self {
        app.install("files");
        let internet = Internet::start();
        internet.page("/orders.csv", "text/csv", ORDERS);
        Self { app, internet }
    }

    /// The same, with the orders published by the source `shop`.
    #[track_caller]
    pub fn with_orders() -> Self {
        let shop = Self::open();
        shop.source(
            "shop",
            [files::csv("orders", &shop.internet.url("/orders.csv"))],
        );
        assert_eq!(shop.outcome("shop"), "succeeded");
        shop
    }

    /// The server, to stop and restart it.
    pub fn app(&mut self) -> &mut App {
        &mut self.app
    }

    /// Adds a source of the connector `files` that may reach this internet.
    #[track_caller]
    pub fn source(&self, name: &str, tables: impl IntoIterator<Item = Value>) {
        let settings = files::settings(tables);
        self.add_source(name, "files", &settings, &[&self.internet.exception()]);
    }

    /// Runs a source and says how that ended.
    #[track_caller]
    pub fn outcome(&self, source: &str) -> String {
        self.internet.named(&outcome(&self.run(source)))
    }

    /// Publishes a table that is one page of CSV, and says how that ended.
    #[track_caller]
    pub fn publish(&self, table: &str, csv: &str) -> String {
        let path = format!("/{table}.csv");
        self.internet.page(&path, "text/csv", csv);
        self.source(table, [files::csv(table, &self.internet.url(&path))]);
        self.outcome(table)
    }

    /// How many orders can be queried.
    #[track_caller]
    pub fn orders(&self) -> Value {
        self.rows("SELECT count(*) FROM orders")
    }
}

/// The one row of one number that a count gives.
pub fn count(number: u64) -> Value {
    json!([[number]])
}

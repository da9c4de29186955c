//! Webhooks of any service that signs with a shared key: each delivery becomes a row.

use std::sync::atomic::{AtomicU64, Ordering};

use connector_sdk::{
    Connector, Delivery, Failure, Receiver, Table, TableInfo, TableSpec, export_receiver,
};
use serde_json::{Value, json};

/// Deliveries that this instance has handled. Each batch has a new instance, so it starts at none.
static HANDLED: AtomicU64 = AtomicU64::new(0);

/// Where the rows go.
#[derive(Debug, serde::Deserialize)]
pub struct Hooks {
    #[serde(default = "deliveries")]
    table: String,
}

fn deliveries() -> String {
    "deliveries".into()
}

impl Hooks {
    fn spec(&self) -> TableSpec {
        TableSpec::append(&self.table).description("Deliveries of a webhook")
    }
}

impl Connector for Hooks {
    type Settings = Self;

    fn new(settings: Self) -> Result<Self, Failure> {
        Ok(settings)
    }

    fn check(&self) -> Result<(), Failure> {
        Ok(())
    }

    fn discover(&self) -> Result<Vec<TableInfo>, Failure> {
        Ok(vec![TableInfo::from(&self.spec())])
    }

    fn sync(&self, _tables: &[String]) -> Result<(), Failure> {
        // Nothing is fetched: what there is was delivered.
        Ok(())
    }
}

impl Receiver for Hooks {
    fn receive(&self, deliveries: Vec<Delivery>) -> Result<(), Failure> {
        let rows = deliveries.iter().map(row).collect::<Result<Vec<_>, _>>()?;
        Table::open(&self.spec())?.append_json(&rows).map(drop)
    }
}

fn row(delivery: &Delivery) -> Result<Value, Failure> {
    let body: Value = serde_json::from_slice(&delivery.body)
        .map_err(|error| Failure::bug(format!("delivery {} is not JSON: {error}", delivery.id)))?;
    let headers: serde_json::Map<String, Value> = delivery
        .headers
        .iter()
        .map(|(name, value)| (name.clone(), value.as_str().into()))
        .collect();
    Ok(json!({
        "id": delivery.id,
        "place_in_batch": HANDLED.fetch_add(1, Ordering::Relaxed) + 1,
        "headers": Value::Object(headers).to_string(),
        "body": body.to_string(),
    }))
}

export_receiver!(Hooks);

#[cfg(test)]
mod tests {
    use connector_sdk::testing::FakeHost;

    use super::*;

    fn delivery(id: &str, body: &str) -> Delivery {
        Delivery {
            id: id.into(),
            headers: vec![("x-event".into(), "paid".into())],
            body: body.into(),
        }
    }

    #[test]
    fn each_delivery_becomes_a_row() {
        let host = FakeHost::new();
        let batch = vec![delivery("1", r#"{"a": 1}"#), delivery("2", "[2]")];
        assert_eq!(batch[0].header("X-Event"), Some("paid"));
        host.receive::<Hooks>("{}", batch).unwrap();
        let rows = host.rows("deliveries");
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0]["body"], r#"{"a":1}"#);
        assert_eq!(rows[1]["headers"], r#"{"x-event":"paid"}"#);
    }

    #[test]
    fn what_is_not_json_fails_the_batch_and_names_the_delivery() {
        let host = FakeHost::new();
        let batch = vec![delivery("1", "{}"), delivery("2", "<xml>")];
        let failure = host.receive::<Hooks>("{}", batch).unwrap_err();
        assert!(failure.to_string().contains("delivery 2"), "{failure}");
        assert!(host.rows("deliveries").is_empty());
    }
}

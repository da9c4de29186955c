//! What the predecessor's client says to a server and what it needs to hear: the exchanges of `tests/wire`, in order, on one
//! server. A key that an answer has beside those does no harm; one that is missing, or of another type, breaks that client.

use integration_tests::Response;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::shop::Shop;

#[derive(Deserialize)]
struct Exchange {
    name: String,
    method: String,
    path: String,
    /// Nothing is sent as body where there is none.
    body: Option<Value>,
    /// The content of a form's file instead.
    file: Option<String>,
    #[serde(default)]
    anonymous: bool,
    status: u16,
    /// A list of objects must not be empty, or it would say nothing of them.
    ///
    /// `string`, `number`, `boolean`, `null`, several with `|` between; `=` and a text or number; a list of one shape; an object
    /// with some keys; `parquet` or `arrow` for bytes, `nothing` for none.
    answer: Value,
}

#[test]
fn the_predecessors_client_hears_what_it_needs() {
    let shop = furnished();
    let exchanges: Vec<Exchange> =
        serde_json::from_str(include_str!("../wire/exchanges.json")).unwrap();
    let anonymous = shop.with(None);
    let eve = shop.add_user("eve@example.com");
    let mut wrong = Vec::new();
    for exchange in &exchanges {
        let client = if exchange.anonymous {
            &anonymous
        } else {
            &*shop
        };
        let method = exchange.method.parse().unwrap();
        let (kind, body) = sent(exchange);
        let headers: Vec<_> = kind
            .map(|kind| ("content-type", kind))
            .into_iter()
            .collect();
        let path = exchange.path.replace("{eve}", &eve);
        let answer = client.send(method, &path, &headers, body.as_bytes());
        let found = match answer.status == exchange.status {
            true => heard(&exchange.answer, &answer),
            false => Err(format!(
                "status {} instead of {}",
                answer.status, exchange.status
            )),
        };
        if let Err(reason) = found {
            let said: String = String::from_utf8_lossy(&answer.bytes)
                .chars()
                .take(300)
                .collect();
            wrong.push(format!("{}: {reason}: {said}", exchange.name));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A server that has something of everything that is listed.
fn furnished() -> Shop {
    let shop = Shop::with_orders();
    let metric = json!({"name": "income", "category": "sales", "table": "orders", "tables": ["orders"],
        "sql": "SELECT sum(amount) FROM orders", "dimensions": ["customer"], "synonyms": ["turnover"]});
    assert_eq!(shop.post("/api/admin/metrics", &metric).status, 201);
    let notes = json!({"columns": [{"column_name": "amount", "description": "in EUR"}]});
    shop.post("/api/admin/metadata/orders", &notes).ok();
    let group = shop.add_group("sellers");
    shop.grant(&group, "read", "table", "orders");
    for review in ["mandate", "approve"] {
        let item = json!({"title": review, "content": "Net is without tax", "category": "metrics"});
        let item = shop.post("/api/memory", &item).ok();
        let id = item["id"].as_str().unwrap();
        shop.post(
            &format!("/api/memory/admin/{review}?item_id={id}"),
            &json!({}),
        )
        .ok();
    }
    shop
}

/// What is sent, and of which kind.
fn sent(exchange: &Exchange) -> (Option<&'static str>, String) {
    match (&exchange.body, &exchange.file) {
        (Some(body), _) => (Some("application/json"), body.to_string()),
        (None, Some(file)) => {
            let head = "Content-Disposition: form-data; name=\"file\"; filename=\"s.jsonl\"";
            let form = format!("--b\r\n{head}\r\n\r\n{file}\r\n--b--\r\n");
            (Some("multipart/form-data; boundary=b"), form)
        }
        (None, None) => (None, String::new()),
    }
}

fn heard(shape: &Value, answer: &Response) -> Result<(), String> {
    let begins = |magic: &[u8]| match answer.bytes.starts_with(magic) {
        true => Ok(()),
        false => Err("these bytes are something else".to_owned()),
    };
    match shape.as_str() {
        Some("parquet") => begins(b"PAR1"),
        Some("nothing") => match answer.bytes.is_empty() {
            true => Ok(()),
            false => Err("there is a body".to_owned()),
        },
        Some("arrow") => begins(b"\xff\xff\xff\xff"),
        _ => {
            let said: Value = serde_json::from_slice(&answer.bytes).map_err(|e| e.to_string())?;
            fits(shape, &said, "")
        }
    }
}

fn fits(shape: &Value, said: &Value, place: &str) -> Result<(), String> {
    match (shape, said) {
        (Value::String(words), said) => word(words, said)
            .then_some(())
            .ok_or_else(|| format!("`{place}` is {said} and not {words}")),
        (Value::Array(shapes), Value::Array(items))
            if items.is_empty() && shapes.first().is_some_and(Value::is_object) =>
        {
            Err(format!(
                "`{place}` is empty, which says nothing of its items"
            ))
        }
        (Value::Array(shapes), Value::Array(items)) => shapes.first().map_or(Ok(()), |shape| {
            let mut items = items.iter().enumerate();
            items.try_for_each(|(at, item)| fits(shape, item, &format!("{place}/{at}")))
        }),
        (Value::Object(shapes), Value::Object(said)) => members(shapes, said, place),
        (shape, said) => Err(format!("`{place}` is {said} and not like {shape}")),
    }
}

fn members(
    shapes: &Map<String, Value>,
    said: &Map<String, Value>,
    place: &str,
) -> Result<(), String> {
    shapes.iter().try_for_each(|(key, shape)| {
        let place = format!("{place}/{key}");
        let said = said
            .get(key)
            .ok_or_else(|| format!("`{place}` is missing"))?;
        fits(shape, said, &place)
    })
}

fn word(words: &str, said: &Value) -> bool {
    if let Some(exactly) = words.strip_prefix('=') {
        let number = serde_json::from_str(exactly);
        return said.as_str() == Some(exactly) || number.is_ok_and(|number: Value| number == *said);
    }
    words.split('|').any(|word| match word {
        "string" => said.is_string(),
        "number" => said.is_number(),
        "boolean" => said.is_boolean(),
        "null" => said.is_null(),
        _ => false,
    })
}

//! What the predecessor's client says to a server and what it needs to hear: the exchanges of `tests/wire`, in order, on one
//! server. A key that an answer has beside those does no harm; one that is missing, or of another type, breaks that client.

use integration_tests::Response;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::shop::Shop;

#[derive(Deserialize)]
struct Exchange {
    name: String,
    method: String,
    path: String,
    /// Nothing is sent as body where there is none.
    body: Option<Value>,
    #[serde(default)]
    anonymous: bool,
    status: u16,
    /// `string`, `number`, `boolean`, `null`, several with `|` between; `=` and a text or number; a list of one shape; an object
    /// with some keys; `parquet` or `arrow` for bytes.
    answer: Value,
}

#[test]
fn the_predecessors_client_hears_what_it_needs() {
    let shop = Shop::with_orders();
    let exchanges: Vec<Exchange> =
        serde_json::from_str(include_str!("../wire/exchanges.json")).unwrap();
    let anonymous = shop.with(None);
    let mut wrong = Vec::new();
    for exchange in &exchanges {
        let client = if exchange.anonymous {
            &anonymous
        } else {
            &*shop
        };
        let method = exchange.method.parse().unwrap();
        let (headers, body) = match &exchange.body {
            Some(body) => (vec![("content-type", "application/json")], body.to_string()),
            None => (Vec::new(), String::new()),
        };
        let answer = client.send(method, &exchange.path, &headers, body.as_bytes());
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

fn heard(shape: &Value, answer: &Response) -> Result<(), String> {
    let begins = |magic: &[u8]| match answer.bytes.starts_with(magic) {
        true => Ok(()),
        false => Err("these bytes are something else".to_owned()),
    };
    match shape.as_str() {
        Some("parquet") => begins(b"PAR1"),
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

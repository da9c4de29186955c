//! Where a PostgreSQL database is, as extracts say it: a URL, or keys and values. Nothing else of what
//! libpq would understand is passed on, so that no key can turn the connection elsewhere.

use percent_encoding::percent_decode_str;
use url::Url;

/// A database of a server, without a password.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Place {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) database: String,
    pub(super) user: String,
}

const PORT: u16 = 5432;

/// Reads `postgresql://user@host:port/database` or `host=… port=… dbname=… user=…`.
pub(super) fn place(text: &str) -> Result<Place, String> {
    let place = match text.split_once("://") {
        Some(("postgres" | "postgresql", _)) => from_url(text)?,
        Some(_) => return Err("the URL does not begin with `postgresql://`".to_owned()),
        None => from_pairs(text)?,
    };
    let control = |text: &str| text.chars().any(char::is_control);
    if [&place.host, &place.database, &place.user]
        .into_iter()
        .any(|text| control(text))
    {
        return Err("the URL holds a control character".to_owned());
    }
    match (place.host.is_empty(), place.database.is_empty()) {
        (true, _) => Err("the URL names no host".to_owned()),
        (_, true) => Err("the URL names no database".to_owned()),
        _ => Ok(place),
    }
}

fn from_url(text: &str) -> Result<Place, String> {
    let url = Url::parse(text).map_err(|error| format!("the URL cannot be read: {error}"))?;
    if url.password().is_some() {
        return Err(password());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("the URL has options behind `?`, which only the operator sets".to_owned());
    }
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    Ok(Place {
        host: url
            .host_str()
            .unwrap_or_default()
            .trim_matches(['[', ']'])
            .to_owned(),
        port: url.port().unwrap_or(PORT),
        database: decoded(url.path().trim_start_matches('/')),
        user: decoded(url.username()),
    })
}

fn from_pairs(text: &str) -> Result<Place, String> {
    let mut place = Place {
        port: PORT,
        ..Place::default()
    };
    for pair in text.split_whitespace() {
        let (key, value) = pair
            .split_once('=')
            .filter(|(_, value)| !value.contains(['\'', '\\']))
            .ok_or("the URL is neither `postgresql://…` nor a list of `key=value`")?;
        match key {
            "host" => place.host = value.to_owned(),
            "port" => {
                place.port = value
                    .parse()
                    .map_err(|_| "the port is no number".to_owned())?;
            }
            "dbname" | "database" => place.database = value.to_owned(),
            "user" => place.user = value.to_owned(),
            "password" | "passfile" => return Err(password()),
            _ => {
                let key: String = key.chars().take(64).collect();
                return Err(format!(
                    "the key `{}` is not one of host, port, dbname and user",
                    key.escape_debug()
                ));
            }
        }
    }
    Ok(place)
}

fn password() -> String {
    "the URL holds a password; enter it as a credential of the source".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_say_the_same() {
        let expected = Place {
            host: "db.example.com".into(),
            port: 6432,
            database: "shop".into(),
            user: "reader".into(),
        };
        for text in [
            "postgresql://reader@db.example.com:6432/shop",
            "host=db.example.com port=6432 dbname=shop user=reader",
        ] {
            assert_eq!(place(text).unwrap(), expected);
        }
        assert_eq!(place("postgres://db.example.com/shop").unwrap().port, 5432);
    }

    #[test]
    fn nothing_turns_the_connection_elsewhere_or_carries_a_password() {
        for text in [
            "postgresql://u:secret@db.example.com/shop",
            "postgresql://u@db.example.com/shop?host=evil.org",
            "host=db.example.com hostaddr=10.0.0.1 dbname=shop",
            "host=db.example.com dbname=shop password=secret",
            "host=db.example.com dbname=shop options='-c x=y'",
            "host=db.example.com service=evil dbname=shop",
            "host=db.example.com",
            "dbname=shop",
            "mysql://db.example.com/shop",
            "postgresql://u@db.example.com/a%0Ab",
            "",
        ] {
            let error = place(text).unwrap_err();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}

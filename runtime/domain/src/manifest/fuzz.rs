//! Manifests that nobody meant: each is read or refused, and what it asks for can be worked out or is an error.

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::json;

use super::*;
use crate::Capabilities;

const WHOLE: &str = r#"{"wit": "0.1.0", "name": "shop", "version": "1.0.0", "title": "Shop", "description": "",
    "worlds": ["source"], "settings": {"type": "object", "properties": {"region": {"type": "string"}}},
    "credentials": [{"name": "key", "title": "Key", "hosts": ["{settings.region}.shop.example"], "scheme": "header",
    "header": "X-Key"}], "egress": ["{settings.region}.shop.example", "https://*.cdn.example:8443"],
    "limits": {"rows": 1000}}"#;

fn survives(bytes: &[u8]) {
    if let Ok(manifest) = Manifest::parse(bytes) {
        let settings = json!({"region": "eu", "url": "https://a.org/x"});
        // Whichever it is, it returns.
        drop(Capabilities::requested(&manifest, &settings));
    }
}

#[test]
fn what_is_harmed_below_is_whole_before() {
    let manifest = Manifest::parse(WHOLE.as_bytes()).unwrap();
    assert!(Capabilities::requested(&manifest, &json!({"region": "eu"})).is_ok());
}

proptest! {
    #[test]
    fn no_bytes_break_the_reader_of_manifests(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        survives(&bytes);
    }

    #[test]
    fn a_harmed_manifest_breaks_nothing(harms in proptest::collection::vec(any::<(Index, u8)>(), 1..5), cut in any::<Index>()) {
        let mut bytes = WHOLE.as_bytes().to_vec();
        for (at, with) in harms {
            let length = bytes.len();
            bytes[at.index(length)] ^= with;
        }
        survives(&bytes);
        bytes.truncate(cut.index(bytes.len()));
        survives(&bytes);
    }

    #[test]
    fn no_egress_line_breaks_its_reader(line in "[a-z.{}*:/@\\[\\]%#?0-9-]{0,60}") {
        let whole: serde_json::Value = serde_json::from_str(WHOLE).unwrap();
        let mut manifest = whole;
        manifest["egress"] = json!([line]);
        survives(manifest.to_string().as_bytes());
    }
}

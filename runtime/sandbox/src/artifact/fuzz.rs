//! Connector files that nobody meant: sections, manifest and signature are read or refused, whatever the bytes.

use std::sync::OnceLock;

use proptest::prelude::*;
use proptest::sample::Index;

use super::tests::{COMPONENT, MANIFEST, file};
use super::*;

/// A signed file, and the half of the key that verifies it.
fn signed() -> &'static (Vec<u8>, String) {
    static SIGNED: OnceLock<(Vec<u8>, String)> = OnceLock::new();
    SIGNED.get_or_init(|| {
        let key = SigningKey::generate();
        let bytes = sign(&file(COMPONENT, MANIFEST), &key).unwrap();
        (bytes, key.public_hex())
    })
}

/// Whether the file passes as the publisher's, after everything was read that an upload reads.
fn passes(bytes: &[u8]) -> bool {
    let (_, public) = signed();
    let inspected = inspect(bytes);
    let verified = verify(bytes, &[("us", public)]);
    inspected.is_ok() && verified.is_ok()
}

#[test]
fn what_is_harmed_below_is_whole_before() {
    assert!(passes(&signed().0));
}

proptest! {
    #[test]
    fn no_bytes_pass_as_a_connector(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(!passes(&bytes));
        let component = [b"\0asm\x0d\0\x01\0", &bytes[..]].concat();
        prop_assert!(!passes(&component));
    }

    #[test]
    fn a_signed_file_that_was_changed_passes_nowhere(at in any::<Index>(), with in 1..=u8::MAX) {
        let mut bytes = signed().0.clone();
        let length = bytes.len();
        bytes[at.index(length)] ^= with;
        prop_assert!(!passes(&bytes), "byte {}", at.index(length));
    }

    #[test]
    fn a_signed_file_that_was_cut_or_grew_passes_nowhere(at in any::<Index>(), more in proptest::collection::vec(any::<u8>(), 1..40)) {
        let whole = &signed().0;
        prop_assert!(!passes(&whole[..at.index(whole.len())]));
        prop_assert!(!passes(&[&whole[..], &more].concat()));
    }

    #[test]
    fn a_section_of_a_signature_may_hold_anything(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut forged = file(COMPONENT, MANIFEST);
        let section = CustomSection::new("signature".into(), bytes);
        RawSection::Custom(section).serialize(&mut forged).unwrap();
        prop_assert!(!passes(&forged));
    }
}

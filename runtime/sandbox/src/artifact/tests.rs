//! Files that are refused, and why.

use super::*;

pub(super) const COMPONENT: &str = r#"(component
    (import "sluice:connector/run@0.1.0" (instance))
    (component $empty)
    (instance $pull (instantiate $empty))
    (export "sluice:connector/pull@0.1.0" (instance $pull))
)"#;

pub(super) const MANIFEST: &str = r#"{"wit": "0.1.0", "name": "orders", "version": "1.2.3", "title": "Orders", "description": "",
    "worlds": ["source"], "settings": {"type": "object"}}"#;

fn with_section(mut bytes: Vec<u8>, name: &str, payload: &[u8]) -> Vec<u8> {
    let section = CustomSection::new(name.into(), payload.to_vec());
    RawSection::Custom(section).serialize(&mut bytes).unwrap();
    bytes
}

pub(super) fn file(component: &str, manifest: &str) -> Vec<u8> {
    with_section(
        wat::parse_str(component).unwrap(),
        manifest::SECTION,
        manifest.as_bytes(),
    )
}

fn refusal(bytes: &[u8]) -> String {
    inspect(bytes).unwrap_err().to_string()
}

#[test]
fn an_inspection_tells_what_a_file_holds() {
    let bytes = file(COMPONENT, MANIFEST);
    let found = inspect(&bytes).unwrap();
    assert_eq!(found.manifest.name.as_str(), "orders");
    assert_eq!(found.wit_versions, ["0.1.0"]);
    assert_eq!(found.imports, ["sluice:connector/run@0.1.0"]);
    assert_eq!(found.exports, ["sluice:connector/pull@0.1.0"]);
    assert_eq!(found.digest, Digest::of(&bytes));
    assert_eq!(found.sections.last().unwrap().name, "sluice:manifest");
    assert!(!found.signed);
}

#[test]
fn what_is_no_component_is_refused() {
    assert!(refusal(b"").contains("not a WebAssembly component"));
    assert!(refusal(b"<html>").contains("not a WebAssembly component"));
    assert!(refusal(&wat::parse_str("(module)").unwrap()).contains("core module, not a component"));
    assert!(matches!(
        inspect(&vec![0; MAX_BYTES + 1]),
        Err(ArtifactError::TooLarge(_))
    ));
}

#[test]
fn a_file_that_was_cut_off_is_refused_wherever_the_cut_is() {
    let bytes = file(COMPONENT, MANIFEST);
    for cut in 0..bytes.len() {
        assert!(inspect(&bytes[..cut]).is_err(), "{cut} of {}", bytes.len());
    }
}

#[test]
fn a_nested_module_that_claims_to_be_longer_than_the_file_is_refused() {
    let header = &wat::parse_str("(component)").unwrap()[..8];
    let claim = [header, &[1, 0xff, 0xff, 0x7f], b"\0asm"].concat();
    assert!(
        refusal(&claim).contains("ends in the middle"),
        "{}",
        refusal(&claim)
    );
}

#[test]
fn there_is_one_manifest_and_it_is_valid() {
    let bare = wat::parse_str(COMPONENT).unwrap();
    assert!(refusal(&bare).contains("0 manifest sections"));
    let twice = with_section(
        file(COMPONENT, MANIFEST),
        manifest::SECTION,
        MANIFEST.as_bytes(),
    );
    assert!(refusal(&twice).contains("2 manifest sections"));
    assert!(refusal(&file(COMPONENT, r#"{"wit": "0.1.0"}"#)).contains("manifest is malformed"));
}

#[test]
fn a_component_for_an_unknown_interface_is_refused() {
    let later = COMPONENT.replace("0.1.0", "7.0.0");
    let manifest = MANIFEST.replace("0.1.0", "7.0.0");
    for bytes in [
        file(&later, &manifest),
        file(&later, MANIFEST),
        file(COMPONENT, &manifest),
    ] {
        let refusal = refusal(&bytes);
        assert!(
            refusal.contains("version 7.0.0") && refusal.contains("speaks 0.1.0"),
            "{refusal}"
        );
    }
}

#[test]
fn a_component_that_wants_more_than_there_is_is_refused() {
    for name in [
        "wasi:http/types@0.2.0",
        "wasi:cli/environment@0.3.0",
        "other",
    ] {
        let component = COMPONENT.replace("sluice:connector/run@0.1.0", name);
        assert!(
            refusal(&file(&component, MANIFEST)).contains(name),
            "{name}"
        );
    }
    let wasi = COMPONENT.replace("sluice:connector/run@0.1.0", "wasi:cli/environment@0.2.6");
    assert!(inspect(&file(&wasi, MANIFEST)).is_ok());
}

#[test]
fn a_component_that_exports_nothing_to_run_is_refused() {
    let component = COMPONENT.replace("pull@", "push@");
    assert!(
        refusal(&file(&component, MANIFEST))
            .contains("does not export `sluice:connector/pull@0.1.0`")
    );
}

#[test]
fn a_signature_names_its_publisher_and_replaces_an_older_one() {
    let (first, second) = (SigningKey::generate(), SigningKey::generate());
    let bytes = file(COMPONENT, MANIFEST);
    let signed = sign(&bytes, &first).unwrap();
    assert_eq!(signed, sign(&bytes, &first).unwrap());
    assert!(inspect(&signed).unwrap().signed);
    let publishers = [("acme", first.public_hex()), ("other", second.public_hex())];
    assert_eq!(verify(&signed, &publishers).unwrap(), "acme");
    let again = sign(&signed, &second).unwrap();
    assert_eq!(verify(&again, &publishers).unwrap(), "other");
}

#[test]
fn unsigned_unknown_and_changed_files_are_told_apart() {
    let (key, stranger) = (SigningKey::generate(), SigningKey::generate());
    let publishers = [("acme", key.public_hex())];
    let bytes = file(COMPONENT, MANIFEST);
    assert!(matches!(
        verify(&bytes, &publishers),
        Err(ArtifactError::Unsigned)
    ));
    let foreign = sign(&bytes, &stranger).unwrap();
    assert!(matches!(
        verify(&foreign, &publishers),
        Err(ArtifactError::UnknownKey)
    ));
    let signed = sign(&bytes, &key).unwrap();
    let last = signed.len() - 1;
    let mut changed = signed.clone();
    changed[last] ^= 1;
    let longer = with_section(signed.clone(), "more", b"");
    for bytes in [changed, longer] {
        let error = verify(&bytes, &publishers).unwrap_err();
        assert!(
            matches!(&error, ArtifactError::Tampered { publisher } if publisher == "acme"),
            "{error}"
        );
    }
}

#[test]
fn no_changed_byte_passes_verification() {
    let key = SigningKey::generate();
    let publishers = [("acme", key.public_hex())];
    let signed = sign(&file(COMPONENT, MANIFEST), &key).unwrap();
    for at in 0..signed.len() {
        let mut changed = signed.clone();
        changed[at] ^= 0x10;
        assert!(
            verify(&changed, &publishers).is_err(),
            "byte {at} of {}",
            signed.len()
        );
    }
}

#[test]
fn a_signature_that_covers_the_first_sections_only_is_refused() {
    let key = SigningKey::generate();
    let bytes = file(COMPONENT, MANIFEST);
    let module = wasmsign2::Module::deserialize(&mut bytes.as_slice()).unwrap();
    let secret = wasmsign2::SecretKey::from_pem(&key.to_pem()).unwrap();
    let is_custom = |section: &RawSection| matches!(section, RawSection::Custom(_));
    let module = module.split(is_custom).unwrap();
    let (module, _) = secret.sign_multi(module, None, false, false).unwrap();
    let mut parts = Vec::new();
    module.serialize(&mut parts).unwrap();
    let error = verify(&parts, &[("acme", key.public_hex())]).unwrap_err();
    assert!(matches!(error, ArtifactError::PartlySigned), "{error}");
}

#[test]
fn a_key_survives_its_file_and_does_not_show_itself() {
    let key = SigningKey::generate();
    let read = SigningKey::parse(key.to_pem().as_bytes()).unwrap();
    assert_eq!(read.public_hex(), key.public_hex());
    assert_eq!(format!("{key:?}"), "SigningKey(..)");
    assert!(SigningKey::parse(b"nonsense").is_err());
    let error = verify(
        &sign(&file(COMPONENT, MANIFEST), &key).unwrap(),
        &[("acme", "12")],
    )
    .unwrap_err();
    assert!(
        error.to_string().contains("64 hexadecimal digits"),
        "{error}"
    );
}

//! Marketplaces that come, change and go, with what hangs on them.

use domain::access::MARKETPLACE_PLUGIN;
use domain::{Grant, Permission};
use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::paths::Paths;
use crate::state::tests::{entry, group, state};

fn marketplace(slug: &str) -> Marketplace {
    Marketplace {
        slug: slug.to_owned(),
        name: "Team plugins".to_owned(),
        url: "https://git.example.com/plugins.git".to_owned(),
        branch: None,
        description: Some("ours".to_owned()),
        token_env: Some("PLUGINS_TOKEN".to_owned()),
        registered_by: Some(Uuid::now_v7()),
        registered_at: Timestamp::now(),
        last_synced_at: None,
    }
}

fn plugin(name: &str) -> Plugin {
    Plugin::from_entry(&json!({"name": name, "source": "./x", "keywords": ["a"]})).unwrap()
}

#[test]
fn a_marketplace_comes_back_whole_and_its_slug_is_taken_once() {
    let (folder, state) = state();
    let first = marketplace("team");
    state.insert_marketplace(&first, &entry()).unwrap();
    let again = state.insert_marketplace(&marketplace("team"), &entry());
    assert!(matches!(again, Err(StateError::AlreadyExists { .. })));
    let change = |found: &mut Marketplace| {
        found.branch = Some("main".to_owned());
        found.slug = "another".to_owned();
    };
    let changed = state.change_marketplace("team", change, &entry()).unwrap();
    assert_eq!(changed.slug, "team");
    drop(state);
    let state = State::open(&Paths::new(folder.path()).unwrap()).unwrap();
    let expected = Marketplace {
        branch: Some("main".to_owned()),
        ..first
    };
    assert_eq!(state.marketplaces().unwrap(), [expected]);
    let missing = state.change_marketplace("none", |_| {}, &entry());
    assert!(matches!(missing, Err(StateError::NotFound { .. })));
}

#[test]
fn all_plugins_are_replaced_or_none() {
    let (_folder, state) = state();
    let at = Timestamp::now();
    state
        .insert_marketplace(&marketplace("team"), &entry())
        .unwrap();
    state
        .insert_marketplace(&marketplace("other"), &entry())
        .unwrap();
    let replace = |slug: &str, names: &[&str]| {
        let plugins: Vec<_> = names.iter().map(|name| plugin(name)).collect();
        state.replace_plugins(slug, &plugins, at, &entry())
    };
    replace("team", &["b", "a"]).unwrap();
    replace("other", &["a"]).unwrap();
    assert_eq!(state.plugins("team").unwrap(), [plugin("a"), plugin("b")]);
    let twice = replace("team", &["c", "d", "c"]);
    assert!(matches!(twice, Err(StateError::AlreadyExists { .. })));
    assert_eq!(state.plugins("team").unwrap().len(), 2, "all or none");
    replace("team", &["c"]).unwrap();
    assert_eq!(state.plugins("team").unwrap(), [plugin("c")]);
    assert_eq!(state.plugins("other").unwrap(), [plugin("a")]);
    let synced = state.marketplace("team").unwrap().unwrap().last_synced_at;
    assert_eq!(synced, Some(at));
    assert!(matches!(
        replace("none", &[]),
        Err(StateError::NotFound { .. })
    ));
    assert_eq!(state.check().unwrap().problems, [""; 0]);
}

#[test]
fn a_marketplace_goes_with_its_plugins_and_the_grants_on_them_alone() {
    let (_folder, state) = state();
    let team = group(&state, "Team").id;
    let grant = |id: &str| Grant {
        id: Uuid::now_v7(),
        group: team,
        permission: Permission::Use,
        resource_type: MARKETPLACE_PLUGIN.to_owned(),
        resource_id: id.to_owned(),
        restriction: None,
        granted_at: Timestamp::now(),
        granted_by: None,
    };
    state
        .insert_marketplace(&marketplace("team"), &entry())
        .unwrap();
    let listed = [plugin("a")];
    state
        .replace_plugins("team", &listed, Timestamp::now(), &entry())
        .unwrap();
    for id in ["Team/a", "team2/a"] {
        state.insert_grant(&grant(id), &entry()).unwrap();
    }
    state.delete_marketplace("team", &entry()).unwrap();
    let left = state.grants().unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].resource_id, "team2/a");
    assert!(state.plugins("team").is_err());
    assert!(state.delete_marketplace("team", &entry()).is_err());
    state
        .insert_marketplace(&marketplace("team"), &entry())
        .unwrap();
    assert_eq!(state.plugins("team").unwrap(), []);
    assert_eq!(state.check().unwrap().problems, [""; 0]);
}

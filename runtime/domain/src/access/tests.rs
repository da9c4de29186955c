//! The decision, case by case.

use super::*;

const ORDERS: Resource<'_> = Resource::Table {
    name: "Orders",
    source: "shop",
};

fn principal(grants: &[(Permission, &'static str, &str)]) -> Principal {
    let mut held = Held::default();
    for (permission, kind, id) in grants {
        held.add(*permission, kind, id);
    }
    Principal {
        user: Uuid::nil(),
        email: "a@b.org".into(),
        token: Uuid::nil(),
        means: Means::Session,
        scopes: Scopes::All,
        is_admin: false,
        groups: Arc::default(),
        reach: Arc::new(Reach(vec![Arc::default(), Arc::new(held)])),
    }
}

fn admin() -> Principal {
    Principal {
        is_admin: true,
        ..principal(&[])
    }
}

fn limited(principal: Principal, scopes: &[Scope]) -> Principal {
    Principal {
        means: Means::Token,
        scopes: Scopes::Only(scopes.iter().copied().collect()),
        ..principal
    }
}

#[test]
fn nobody_may_do_what_is_not_public() {
    assert_eq!(decide(None, Demand::Public), Ok(()));
    for demand in [
        Demand::SignedIn(Scope::Data),
        Demand::Session,
        Demand::Admin,
        Demand::On(Permission::Read, ORDERS),
    ] {
        assert_eq!(decide(None, demand), Err(Refusal::Anonymous), "{demand:?}");
    }
}

#[test]
fn a_user_without_a_grant_reads_nothing() {
    let user = principal(&[]);
    let read = Demand::On(Permission::Read, ORDERS);
    assert_eq!(decide(Some(&user), read), Err(Refusal::NotGranted));
    assert_eq!(decide(Some(&user), Demand::Admin), Err(Refusal::NotAdmin));
    assert_eq!(decide(Some(&user), Demand::SignedIn(Scope::Data)), Ok(()));
}

#[test]
fn a_table_is_reached_by_its_own_grant_or_by_that_of_its_source() {
    for grant in [
        (Permission::Read, TABLE, "orders"),
        (Permission::Read, SOURCE, "SHOP"),
    ] {
        assert!(
            principal(&[grant]).may(Permission::Read, ORDERS),
            "{grant:?}"
        );
    }
    for grant in [
        (Permission::Read, TABLE, "order"),
        (Permission::Read, SOURCE, "shop2"),
        (Permission::Run, SOURCE, "shop"),
        (Permission::Read, DATA_PACKAGE, "orders"),
    ] {
        assert!(
            !principal(&[grant]).may(Permission::Read, ORDERS),
            "{grant:?}"
        );
    }
}

#[test]
fn to_run_a_source_is_not_to_read_it() {
    let runner = principal(&[(Permission::Run, SOURCE, "shop")]);
    assert!(runner.may(Permission::Run, Resource::Source("shop")));
    assert!(!runner.may(Permission::Read, Resource::Source("shop")));
    assert!(!runner.may(Permission::Run, Resource::Source("other")));
}

#[test]
fn a_token_does_less_than_its_user_never_more() {
    let data = limited(admin(), &[Scope::Data]);
    assert!(data.may(Permission::Read, ORDERS));
    assert_eq!(
        decide(Some(&data), Demand::Admin),
        Err(Refusal::Scope(Scope::Admin))
    );
    assert!(!data.may(Permission::Run, Resource::Source("shop")));
    let all = limited(principal(&[]), &Scope::ALL);
    assert_eq!(decide(Some(&all), Demand::Admin), Err(Refusal::NotAdmin));
    assert_eq!(decide(Some(&all), Demand::Session), Err(Refusal::NoSession));
    assert!(!limited(admin(), &[]).may(Permission::Read, ORDERS));
}

#[test]
fn scopes_come_back_from_their_text_and_unknown_words_give_nothing() {
    for scopes in [
        Scopes::All,
        Scopes::Only(BTreeSet::new()),
        Scopes::Only([Scope::Data, Scope::Runs].into()),
    ] {
        assert_eq!(Scopes::from_text(scopes.to_text().as_deref()), scopes);
    }
    let unknown = Scopes::from_text(Some("everything data"));
    assert_eq!(unknown, Scopes::Only([Scope::Data].into()));
}

#[test]
fn each_kind_of_resource_has_a_key_of_its_own_and_a_permission() {
    let keys: BTreeSet<_> = RESOURCE_TYPES.iter().map(|kind| kind.key).collect();
    assert_eq!(keys.len(), RESOURCE_TYPES.len());
    for kind in RESOURCE_TYPES {
        assert!(kind.permission(None).is_some(), "{}", kind.key);
        assert_eq!(kind.permission(Some("fly")), None);
    }
    let table = ResourceType::find(TABLE).unwrap();
    assert_eq!(table.permission(Some("run")), None);
}

//! Requests under users who ask twice and admins who decide at once.

use domain::User;
use domain::access::TABLE;

use super::*;
use crate::state::tests::{admin, entry, state};

fn user(state: &State) -> User {
    let user = User::new(&format!("{}@example.com", Uuid::now_v7()), "");
    state.insert_user(&user, &entry()).unwrap();
    user
}

fn request(user: &User, table: &str) -> AccessRequest {
    AccessRequest {
        id: Uuid::now_v7(),
        user: user.id,
        table: table.to_owned(),
        reason: "for the report".to_owned(),
        state: RequestState::Pending,
        reviewed_by: None,
        reviewed_at: None,
        created_at: Timestamp::now(),
    }
}

#[test]
fn a_user_has_one_request_for_a_table_that_waits() {
    let (_folder, state) = state();
    let (root, ada) = (admin(&state), user(&state));
    let first = request(&ada, "orders");
    state.insert_access_request(&first, &entry()).unwrap();
    let again = state.insert_access_request(&request(&ada, "ORDERS"), &entry());
    assert!(matches!(again, Err(StateError::AlreadyExists { .. })));
    state
        .insert_access_request(&request(&ada, "people"), &entry())
        .unwrap();
    assert_eq!(state.pending_access_requests().unwrap()[0], first);
    let at = Timestamp::now();
    state
        .deny_access_request(first.id, root.id, at, &entry())
        .unwrap();
    let denied = state.access_request(first.id).unwrap().unwrap();
    assert_eq!(denied.state, RequestState::Denied);
    assert_eq!(
        (denied.reviewed_by, denied.reviewed_at),
        (Some(root.id), Some(at))
    );
    state
        .insert_access_request(&request(&ada, "orders"), &entry())
        .unwrap();
    assert_eq!(state.access_requests_of(ada.id).unwrap().len(), 3);
    assert_eq!(state.access_requests_of(root.id).unwrap(), []);
    assert_eq!(state.grants().unwrap(), [], "to be denied opens nothing");
    assert_eq!(state.check().unwrap().problems, [""; 0]);
}

#[test]
fn those_who_are_approved_share_a_group_that_may_read_that_table_alone() {
    let (_folder, state) = state();
    let (root, ada, grace) = (admin(&state), user(&state), user(&state));
    for user in [&ada, &grace] {
        let request = request(user, "Orders");
        state.insert_access_request(&request, &entry()).unwrap();
        let before = state.access_changes();
        state
            .approve_access_request(request.id, root.id, Timestamp::now(), &entry())
            .unwrap();
        assert!(state.access_changes() > before);
    }
    let grants = state.grants().unwrap();
    let [grant] = grants.as_slice() else {
        panic!("{grants:?}")
    };
    assert_eq!(
        (grant.resource_type.as_str(), grant.resource_id.as_str()),
        (TABLE, "Orders")
    );
    assert_eq!(grant.permission, Permission::Read);
    let members: Vec<_> = state.members(grant.group).unwrap();
    let members: Vec<_> = members.iter().map(|member| member.user).collect();
    assert_eq!(members, [ada.id, grace.id]);
    let groups = state.groups().unwrap();
    assert!(groups.iter().any(|group| group.name == "access:orders"));
    assert_eq!(state.check().unwrap().problems, [""; 0]);
}

#[test]
fn nobody_joins_a_group_that_opens_more_than_was_asked_for() {
    let (_folder, state) = state();
    let (root, ada) = (admin(&state), user(&state));
    let group = crate::state::tests::group(&state, "Access:Orders");
    let more = Grant {
        id: Uuid::now_v7(),
        group: group.id,
        permission: Permission::Read,
        resource_type: TABLE.to_owned(),
        resource_id: "salaries".to_owned(),
        restriction: None,
        granted_at: Timestamp::now(),
        granted_by: None,
    };
    state.insert_grant(&more, &entry()).unwrap();
    let request = request(&ada, "orders");
    state.insert_access_request(&request, &entry()).unwrap();
    let approve = || state.approve_access_request(request.id, root.id, Timestamp::now(), &entry());
    let refused = approve();
    assert!(matches!(refused, Err(StateError::AlreadyExists { .. })));
    assert_eq!(state.members(group.id).unwrap(), []);
    assert_eq!(
        state.pending_access_requests().unwrap().len(),
        1,
        "all or nothing"
    );
    state.delete_grant(more.id, &entry()).unwrap();
    approve().unwrap();
    assert_eq!(state.members(group.id).unwrap().len(), 1);
}

#[test]
fn of_many_who_decide_at_once_one_does_and_a_user_goes_with_the_requests() {
    let (_folder, state) = state();
    let (root, ada) = (admin(&state), user(&state));
    let request = request(&ada, "orders");
    state.insert_access_request(&request, &entry()).unwrap();
    let at = Timestamp::now();
    let decided = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..6)
            .map(|number| {
                let (state, root, id) = (&state, root.id, request.id);
                scope.spawn(move || match number % 2 {
                    0 => state.approve_access_request(id, root, at, &entry()),
                    _ => state.deny_access_request(id, root, at, &entry()),
                })
            })
            .collect();
        let results = threads.into_iter().map(|thread| thread.join().unwrap());
        results.filter(Result::is_ok).count()
    });
    assert_eq!(decided, 1);
    state.delete_user(ada.id, &entry()).unwrap();
    assert_eq!(state.access_request(request.id).unwrap(), None);
    assert_eq!(state.check().unwrap().problems, [""; 0]);
}

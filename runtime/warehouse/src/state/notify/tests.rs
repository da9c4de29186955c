//! Codes that are used twice, too late or at once, and scripts.

use jiff::ToSpan as _;

use super::*;
use crate::paths::Paths;
use crate::state::tests::{admin, entry, state};

fn code(text: &str, chat: i64, now: Timestamp) -> TelegramCode {
    TelegramCode {
        hash: Digest::of(text.as_bytes()),
        chat,
        expires_at: now + 10.minutes(),
    }
}

#[test]
fn a_code_links_its_chat_once_and_in_time() {
    let (_folder, state) = state();
    let (ada, now) = (admin(&state), Timestamp::now());
    let link = |code: &TelegramCode, at| {
        let linked = state.link_telegram(ada.id, &code.hash, at, &entry());
        linked.unwrap().map(|link| link.chat)
    };
    let late = code("111111", 7, now);
    state.put_telegram_code(&late).unwrap();
    assert_eq!(link(&late, late.expires_at), None, "it has ended");
    assert_eq!(link(&late, now), None, "and is gone");
    let good = code("222222", 7, now);
    state.put_telegram_code(&good).unwrap();
    assert_eq!(link(&code("333333", 7, now), now), None);
    assert_eq!(link(&good, now), Some(7));
    assert_eq!(link(&good, now), None);
    assert_eq!(state.telegram_link(ada.id).unwrap().unwrap().chat, 7);
    let other = code("444444", 8, now);
    state.put_telegram_code(&other).unwrap();
    assert_eq!(link(&other, now), Some(8), "another chat in its place");
    assert_eq!(state.check().unwrap().problems, [""; 0]);
    state.unlink_telegram(ada.id, &entry()).unwrap();
    state.unlink_telegram(ada.id, &entry()).unwrap();
    assert_eq!(state.telegram_link(ada.id).unwrap(), None);
}

#[test]
fn a_chat_has_one_code_and_a_code_one_chat() {
    let (_folder, state) = state();
    let (ada, now) = (admin(&state), Timestamp::now());
    let first = code("111111", 7, now);
    state.put_telegram_code(&first).unwrap();
    let stolen = state.put_telegram_code(&code("111111", 8, now));
    assert!(matches!(stolen, Err(StateError::AlreadyExists { .. })));
    state.put_telegram_code(&code("222222", 7, now)).unwrap();
    let old = state.link_telegram(ada.id, &first.hash, now, &entry());
    assert_eq!(old.unwrap(), None);
}

#[test]
fn of_many_who_use_a_code_at_once_one_gets_the_chat() {
    let (_folder, state) = state();
    let now = Timestamp::now();
    let good = code("111111", 7, now);
    state.put_telegram_code(&good).unwrap();
    let users: Vec<_> = (0..6).map(|_| admin(&state).id).collect();
    let link = |user: Uuid| {
        let linked = state.link_telegram(user, &good.hash, now, &entry());
        linked.unwrap()
    };
    let linked = std::thread::scope(|scope| {
        let link = &link;
        let threads: Vec<_> = users
            .iter()
            .map(|user| scope.spawn(move || link(*user)))
            .collect();
        let results = threads.into_iter().map(|thread| thread.join().unwrap());
        results.filter(Option::is_some).count()
    });
    assert_eq!(linked, 1);
    let links = users
        .iter()
        .filter(|user| state.telegram_link(**user).unwrap().is_some());
    assert_eq!(links.count(), 1);
}

#[test]
fn a_script_comes_back_whole_and_goes_once() {
    let (folder, state) = state();
    let script = Script {
        id: Uuid::now_v7(),
        name: "Report".to_owned(),
        owner: Some(admin(&state).id),
        schedule: Some("daily 07:00".to_owned()),
        source: "print('it''s ''quoted''')\n".to_owned(),
        deployed_at: Timestamp::now(),
    };
    state.insert_script(&script, &entry()).unwrap();
    assert!(state.insert_script(&script, &entry()).is_err());
    drop(state);
    let state = State::open(&Paths::new(folder.path()).unwrap()).unwrap();
    assert_eq!(state.scripts().unwrap(), std::slice::from_ref(&script));
    assert_eq!(state.check().unwrap().problems, [""; 0]);
    state.delete_script(script.id, &entry()).unwrap();
    assert!(state.delete_script(script.id, &entry()).is_err());
    assert_eq!(state.scripts().unwrap(), []);
}

//! Inboxes on a real disk: what they keep over a crash, what they refuse, and what they let go of.

use std::fs::{self, OpenOptions};
use std::io::Write as _;

use super::*;

const LIMITS: InboxLimits = InboxLimits {
    deliveries: 5,
    bytes: 10_000,
};

fn open(folder: &Path, position: u64) -> Inbox {
    Inbox::open(folder.join("shop"), LIMITS, position).unwrap()
}

fn delivery(id: &str) -> Delivery {
    Delivery {
        id: id.into(),
        headers: vec![("x-event".into(), "paid".into())],
        body: format!("body of {id}").into_bytes(),
    }
}

fn ids(inbox: &Inbox) -> Vec<(u64, String)> {
    let batch = inbox.batch(100, 1 << 20).unwrap();
    let of = |record: Record| (record.head.sequence, record.head.id);
    batch.into_iter().map(of).collect()
}

fn named(expected: &[(u64, &str)]) -> Vec<(u64, String)> {
    expected
        .iter()
        .map(|(n, id)| (*n, (*id).to_owned()))
        .collect()
}

fn logs(folder: &Path) -> Vec<PathBuf> {
    let all = fs::read_dir(folder.join("shop"))
        .unwrap()
        .map(|e| e.unwrap().path());
    let mut logs: Vec<_> = all
        .filter(|path| path.extension().is_some_and(|e| e == "log"))
        .collect();
    logs.sort();
    logs
}

#[test]
fn what_was_taken_is_there_after_a_crash_whole_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let inbox = open(folder.path(), 0);
    for id in ["a", "b", "c"] {
        assert_eq!(inbox.take(delivery(id), true).unwrap(), Taken::New);
    }
    // Never closed: a server that is killed closes nothing.
    let again = open(folder.path(), 0);
    assert_eq!(ids(&again), named(&[(1, "a"), (2, "b"), (3, "c")]));
    let first = again.batch(1, 1 << 20).unwrap().remove(0);
    assert_eq!(first.body, b"body of a");
    assert_eq!(
        first.head.headers,
        [("x-event".to_owned(), "paid".to_owned())]
    );
    again.take(delivery("d"), true).unwrap();
    assert_eq!(open(folder.path(), 0).standing().waiting, 4);
}

#[test]
fn what_is_published_is_not_taken_again_and_its_bytes_are_gone() {
    let folder = tempfile::tempdir().unwrap();
    let inbox = open(folder.path(), 0);
    for id in ["a", "b", "c"] {
        inbox.take(delivery(id), true).unwrap();
    }
    // Published up to 2, and killed before the inbox heard of it.
    let again = open(folder.path(), 2);
    assert_eq!(ids(&again), named(&[(3, "c")]));
    again.done(&[3], 3).unwrap();
    assert_eq!(again.standing().waiting, 0);
    let left = logs(folder.path());
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(fs::read(&left[0]).unwrap(), b"");
    // Numbers go on, and ids of long ago are known.
    let last = open(folder.path(), 3);
    assert_eq!(last.take(delivery("a"), true).unwrap(), Taken::Again);
    assert_eq!(last.take(delivery("d"), true).unwrap(), Taken::New);
    assert_eq!(ids(&last), named(&[(4, "d")]));
}

#[test]
fn numbers_never_repeat_even_where_the_tail_of_the_inbox_was_lost() {
    let folder = tempfile::tempdir().unwrap();
    let inbox = open(folder.path(), 9);
    inbox.take(delivery("a"), true).unwrap();
    assert_eq!(ids(&inbox), named(&[(10, "a")]));
}

#[test]
fn a_torn_tail_is_cut_and_everything_before_it_stays() {
    let folder = tempfile::tempdir().unwrap();
    let inbox = open(folder.path(), 0);
    inbox.take(delivery("a"), true).unwrap();
    inbox.take(delivery("b"), true).unwrap();
    let log = logs(folder.path()).pop().unwrap();
    let whole = fs::read(&log).unwrap();
    for garbage in [&b"\x10"[..], &[0xff; 100], &whole[..20]] {
        fs::write(&log, &whole).unwrap();
        let mut file = OpenOptions::new().append(true).open(&log).unwrap();
        file.write_all(garbage).unwrap();
        assert_eq!(ids(&open(folder.path(), 0)), named(&[(1, "a"), (2, "b")]));
        assert_eq!(fs::read(&log).unwrap(), whole);
    }
}

#[test]
fn one_that_came_before_is_known_only_where_it_has_an_id() {
    let folder = tempfile::tempdir().unwrap();
    let inbox = open(folder.path(), 0);
    inbox.take(delivery("a"), true).unwrap();
    assert_eq!(inbox.take(delivery("a"), true).unwrap(), Taken::Again);
    assert_eq!(inbox.take(delivery("a"), false).unwrap(), Taken::New);
    assert_eq!(inbox.standing().waiting, 2);
}

#[test]
fn a_full_inbox_takes_nothing_and_keeps_what_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let inbox = open(folder.path(), 0);
    let mut large = delivery("large");
    large.body = vec![b'x'; 20_000];
    assert!(matches!(inbox.take(large, true), Err(InboxError::Full(0))));
    for id in ["a", "b", "c", "d", "e"] {
        inbox.take(delivery(id), true).unwrap();
    }
    assert!(matches!(
        inbox.take(delivery("f"), true),
        Err(InboxError::Full(5))
    ));
    inbox.done(&[1], 1).unwrap();
    assert_eq!(inbox.take(delivery("f"), true).unwrap(), Taken::New);
}

#[test]
fn a_batch_ends_at_its_count_or_bytes_and_is_never_empty() {
    let folder = tempfile::tempdir().unwrap();
    let inbox = open(folder.path(), 0);
    for id in ["a", "b", "c"] {
        inbox.take(delivery(id), true).unwrap();
    }
    assert_eq!(inbox.batch(2, 1 << 20).unwrap().len(), 2);
    assert_eq!(inbox.batch(9, 1).unwrap().len(), 1);
}

#[test]
fn a_dead_letter_stays_until_it_is_tried_again_or_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let inbox = open(folder.path(), 0);
    for id in ["a", "b"] {
        inbox.take(delivery(id), true).unwrap();
    }
    for record in inbox.batch(2, 1 << 20).unwrap() {
        inbox.set_aside(record, Failure::bug("not JSON")).unwrap();
    }
    inbox.done(&[], 2).unwrap();
    let inbox = open(folder.path(), 2);
    let dead = inbox.standing().dead;
    assert_eq!(dead.len(), 2);
    assert_eq!(dead[0].failure, Some(Failure::bug("not JSON")));
    inbox.retry(1).unwrap();
    inbox.drop_letter(2).unwrap();
    assert!(matches!(inbox.retry(1), Err(InboxError::NoLetter(1))));
    assert!(matches!(inbox.drop_letter(2), Err(InboxError::NoLetter(2))));
    let again = open(folder.path(), 2);
    assert!(again.standing().dead.is_empty());
    let batch = again.batch(9, 1 << 20).unwrap();
    assert_eq!((batch[0].head.sequence, batch[0].head.again), (3, Some(1)));
    assert_eq!(batch[0].body, b"body of a");
}

#[test]
fn many_that_send_at_once_are_all_kept_once() {
    let folder = tempfile::tempdir().unwrap();
    let limits = InboxLimits {
        deliveries: 1_000,
        bytes: 1 << 20,
    };
    let inbox = Inbox::open(folder.path().join("shop"), limits, 0).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let inbox = &inbox;
            scope.spawn(move || {
                for n in 0..20 {
                    inbox
                        .take(delivery(&format!("{thread}/{n}")), true)
                        .unwrap();
                }
            });
        }
    });
    let again = Inbox::open(folder.path().join("shop"), limits, 0).unwrap();
    let batch = again.batch(1_000, 1 << 20).unwrap();
    let numbers: Vec<u64> = batch.iter().map(|record| record.head.sequence).collect();
    assert_eq!(numbers, (1..=160).collect::<Vec<_>>());
}

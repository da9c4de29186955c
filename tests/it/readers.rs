//! Publishing does not disturb those who read: no error, and never a mixture of two states.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use axum::response::IntoResponse;
use integration_tests::files;

use crate::shop::Shop;

const READERS: usize = 8;
const PUBLISHES: u64 = 10;

/// The rows of a state: the state's number, a thousand times.
fn page(state: u64) -> String {
    format!("state\n{}", format!("{state}\n").repeat(1000))
}

#[test]
fn eight_readers_see_only_whole_states_while_ten_are_published() {
    let shop = Shop::open();
    let state = std::sync::Arc::new(AtomicU64::new(0));
    for path in ["/a.csv", "/b.csv"] {
        let state = state.clone();
        shop.internet.handle(path, move |_| {
            (
                [("content-type", "text/csv")],
                page(state.load(Ordering::SeqCst)),
            )
                .into_response()
        });
    }
    let tables =
        ["a", "b"].map(|name| files::csv(name, &shop.internet.url(&format!("/{name}.csv"))));
    shop.source("shop", tables);
    assert_eq!(shop.outcome("shop"), "succeeded");

    let done = AtomicBool::new(false);
    let client = &**shop;
    let read = || {
        let mut seen = BTreeSet::new();
        let mut newest = 0;
        while !done.load(Ordering::SeqCst) {
            let sql = "SELECT (SELECT min(state) FROM a), (SELECT max(state) FROM b), \
                (SELECT count(*) FROM a) + (SELECT count(*) FROM b)";
            let rows = client.rows(sql);
            let [low, high, count] = [0, 1, 2].map(|i| rows[0][i].as_u64().unwrap());
            assert_eq!(
                (low, count),
                (high, 2000),
                "two tables of one publish go together"
            );
            assert!(low >= newest, "{low} after {newest}: time runs forward");
            newest = low;
            seen.insert(low);

            let file = client.get("/api/data/a/download");
            assert_eq!(file.status, 200);
            assert_eq!(&file.bytes[file.bytes.len() - 4..], b"PAR1");
        }
        seen
    };
    let seen = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..READERS).map(|_| scope.spawn(read)).collect();
        let outcomes: Vec<_> = (1..=PUBLISHES)
            .map(|next| {
                state.store(next, Ordering::SeqCst);
                shop.outcome("shop")
            })
            .collect();
        done.store(true, Ordering::SeqCst);
        let seen: BTreeSet<u64> = readers
            .into_iter()
            .flat_map(|reader| reader.join().expect("no error"))
            .collect();
        assert_eq!(outcomes, ["succeeded"; PUBLISHES as usize]);
        seen
    });
    assert!(
        seen.len() > 2,
        "the readers saw too little to tell: {seen:?}"
    );
    assert_eq!(
        shop.rows("SELECT max(state) FROM a"),
        crate::shop::count(PUBLISHES)
    );
}

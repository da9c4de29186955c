//! Tables of which a part was granted: what is left out stays out, whatever is asked.

use domain::restriction::{Constant, Mask, Restriction};

use super::*;

/// What must never be seen: each stands in a row or column that is left out.
const HIDDEN: [&str; 4] = ["eve-", "mallory-", "ann@corp", "4111"];

fn people() -> (tempfile::TempDir, Warehouse) {
    let (folder, warehouse) = open();
    publish(
        &warehouse,
        "crm",
        "people",
        r#"{"id":1,"name":"ann","code":"11","country":"CZ","mail":"ann@corp","card":4111,"score":1.5}
{"id":2,"name":"bob","code":"22","country":"CZ","mail":"bob@corp","card":4222,"score":null}
{"id":3,"name":"eve-secret","code":"eve-code","country":"US","mail":"eve@corp","card":4333,"score":9.5}
{"id":4,"name":"mallory-secret","code":"mallory-code","country":null,"mail":null,"card":4444,"score":7.0}"#,
    );
    publish(&warehouse, "crm", "orders", r#"{"person":1,"amount":5}"#);
    warehouse.orchestrator.rebuild().unwrap();
    (folder, warehouse)
}

fn restriction(filter: Option<&str>, masks: &[(&str, Mask)]) -> Restriction {
    let masks = masks.iter().cloned();
    let masks = masks.map(|(name, mask)| (name.to_owned(), mask)).collect();
    let made = Restriction::new(filter.map(str::to_owned), masks);
    made.unwrap().unwrap()
}

fn scope(restrictions: &[Restriction]) -> Scope {
    let parts = restrictions.iter().cloned().map(Arc::new).collect();
    Scope::only([
        ("people".to_owned(), Extent::Part(parts)),
        ("orders".to_owned(), Extent::Whole),
    ])
}

fn rows(warehouse: &Warehouse, scope: &Scope, sql: &str) -> Vec<Vec<Value>> {
    let answer = warehouse
        .queries
        .query(scope, sql, &QueryOptions::default());
    answer.unwrap_or_else(|error| panic!("{sql}: {error}")).rows
}

fn czech() -> Restriction {
    restriction(
        Some("country = 'CZ'"),
        &[("mail", Mask::Null), ("card", Mask::Hash)],
    )
}

#[test]
fn rows_and_values_that_are_left_out_are_not_there() {
    let (_folder, warehouse) = people();
    let scope = scope(&[czech()]);
    let seen = rows(
        &warehouse,
        &scope,
        "SELECT id, name, mail, score FROM people ORDER BY id",
    );
    let expected = [
        [json!(1), json!("ann"), json!(null), json!(1.5)],
        [json!(2), json!("bob"), json!(null), json!(null)],
    ];
    assert_eq!(seen, expected.map(Vec::from));
    let counts = rows(
        &warehouse,
        &scope,
        "SELECT count(*), max(score), count(mail) FROM people",
    );
    assert_eq!(counts, [[json!(2), json!(1.5), json!(0)]]);
    let joined = "SELECT name, amount FROM people JOIN orders ON person = id";
    assert_eq!(rows(&warehouse, &scope, joined), [[json!("ann"), json!(5)]]);
}

#[test]
fn hashes_can_be_joined_and_are_not_those_that_anybody_can_compute() {
    let (_folder, warehouse) = people();
    let all = restriction(None, &[("card", Mask::Hash), ("mail", Mask::Hash)]);
    let scope = scope(&[all]);
    let sql = "SELECT count(*), count(DISTINCT a.card), count(a.mail) FROM people a JOIN people b USING (card)";
    assert_eq!(
        rows(&warehouse, &scope, sql),
        [[json!(4), json!(4), json!(3)]]
    );
    let sql = "SELECT typeof(card), length(card), card = sha256('4111') FROM people WHERE id = 1";
    assert_eq!(
        rows(&warehouse, &scope, sql),
        [[json!("VARCHAR"), json!(64), json!(false)]]
    );
}

#[test]
fn masks_keep_a_column_usable() {
    let (_folder, warehouse) = people();
    let masks = [
        ("Name", Mask::Constant(Constant::Text("it's ***".into()))),
        ("card", Mask::Constant(Constant::Integer(-1))),
        ("score", Mask::Null),
    ];
    let scope = scope(&[restriction(None, &masks)]);
    let sql = "SELECT DISTINCT name, card, typeof(score), score FROM people";
    let expected = [json!("it's ***"), json!(-1), json!("DOUBLE"), json!(null)];
    assert_eq!(rows(&warehouse, &scope, sql), [expected]);
}

#[test]
fn who_has_two_grants_sees_what_either_shows_and_no_more() {
    let (_folder, warehouse) = people();
    let us = restriction(Some("country = 'US'"), &[("name", Mask::Null)]);
    let scope = scope(&[czech(), us]);
    let seen = rows(
        &warehouse,
        &scope,
        "SELECT id, name, mail, length(card) FROM people ORDER BY id",
    );
    let expected = [
        [json!(1), json!("ann"), json!(null), json!(64)],
        [json!(2), json!("bob"), json!(null), json!(64)],
        [json!(3), json!(null), json!("eve@corp"), json!(4)],
    ];
    assert_eq!(seen, expected.map(Vec::from));
}

/// Each fails if, and only if, it is computed over a row or a value that is left out: the codes of the others are
/// numbers.
const PROBES: [&str; 20] = [
    "SELECT count(*) FROM people WHERE CAST(code AS INTEGER) = 1 AND country = 'US'",
    "SELECT CASE WHEN country = 'US' THEN CAST(code AS INTEGER) ELSE 0 END FROM people",
    "SELECT count(*) FROM people WHERE country = 'US' AND CAST(code AS INTEGER) > 0",
    "SELECT count(*) FROM people WHERE country IS NULL AND CAST(code AS INTEGER) > 0",
    "SELECT count(*) FROM people WHERE id > 2 AND CAST(code AS INTEGER) > 0",
    "SELECT count(*) FROM people p JOIN orders o ON p.id > 2 AND CAST(p.code AS INTEGER) = o.person",
    "SELECT count(*) FROM people WHERE CASE WHEN code = '11' OR code = '22' THEN 0 ELSE error(code) END = 0",
    "SELECT count(*) FROM people WHERE id > 2 AND list_value(1)[CAST(code AS INTEGER)] = 1",
    "SELECT (SELECT CAST(p.code AS INTEGER) FROM people p WHERE p.id = o.person + 2) FROM orders o",
    "SELECT count(*) FROM people p SEMI JOIN orders o ON (CAST(p.code AS INTEGER) = o.person AND p.id > 2)",
    "SELECT * FROM people WHERE id > 2 ORDER BY CAST(code AS INTEGER)",
    "SELECT CAST(code AS INTEGER), count(*) FROM people WHERE id > 2 GROUP BY 1",
    "SELECT sum(CAST(code AS INTEGER)) FILTER (WHERE id > 2) FROM people WHERE id > 2",
    "SELECT * FROM people WHERE id > 2 QUALIFY row_number() OVER (ORDER BY CAST(code AS INTEGER)) = 1",
    "WITH p AS MATERIALIZED (SELECT * FROM people) SELECT count(*) FROM p WHERE id > 2 AND CAST(code AS INTEGER) = 1",
    "SELECT count(*) FROM (SELECT * FROM people UNION ALL SELECT * FROM people) WHERE id > 2 AND CAST(code AS INTEGER) = 1",
    "SELECT count(*) FROM people WHERE chr(CASE WHEN code IN ('11', '22') THEN 65 ELSE -5 END) = 'A'",
    "SELECT count(*) FROM people WHERE epoch_ms(CASE WHEN code IN ('11', '22') THEN 1 ELSE 9223372036854775807 END) IS NOT NULL",
    "SELECT count(*) FROM people WHERE mail IS NOT NULL AND CAST(mail AS INTEGER) = 1",
    "SELECT count(*) FROM (SELECT * FROM people USING SAMPLE 100%) WHERE id > 2 AND CAST(code AS INTEGER) = 1",
];

#[test]
fn what_a_query_computes_is_never_computed_over_what_is_left_out() {
    let (_folder, warehouse) = people();
    // Over two columns, so that DuckDB cannot leave it to the reader of the file, which comes before everything else.
    let filter = "lower(concat(trim(country), id)) IN ('cz1', 'cz2')";
    let scope = scope(&[restriction(Some(filter), &[("mail", Mask::Null)])]);
    for sql in PROBES {
        match warehouse
            .queries
            .query(&scope, sql, &QueryOptions::default())
        {
            Ok(answer) => {
                let text = format!("{:?}", answer.rows);
                assert!(
                    !HIDDEN.iter().any(|hidden| text.contains(hidden)),
                    "{sql}: {text}"
                );
            }
            Err(QueryError::Refused { .. }) => {}
            Err(error) => panic!("{sql} was computed over a row that is left out: {error}"),
        }
    }
    // The probes are worth something: over the whole table they fail.
    let whole = |sql: &str| {
        warehouse
            .queries
            .query(&Scope::All, sql, &QueryOptions::default())
    };
    let fail = PROBES
        .iter()
        .filter(|sql| matches!(whole(sql), Err(QueryError::Sql { .. })));
    assert!(fail.count() > 12);
}

#[test]
fn a_failure_shows_no_value() {
    let (_folder, warehouse) = people();
    // The condition itself fails on a row that it would leave out.
    let fails = restriction(Some("country = 'CZ' OR CAST(name AS INTEGER) = 1"), &[]);
    let own = czech();
    for (scope, sql) in [
        (scope(&[fails]), "SELECT * FROM people"),
        (scope(&[own]), "SELECT CAST(name AS INTEGER) FROM people"),
    ] {
        let error = warehouse
            .queries
            .query(&scope, sql, &QueryOptions::default());
        let message = error.unwrap_err().to_string();
        assert!(message.contains("a value, which is not shown"), "{message}");
        assert!(
            !message.contains("secret") && !message.contains("ann"),
            "{message}"
        );
    }
    let typo = "SELECT nmae FROM people";
    let error = warehouse
        .queries
        .query(&scope(&[czech()]), typo, &QueryOptions::default());
    assert!(error.unwrap_err().to_string().contains("nmae"));
}

#[test]
fn a_table_that_a_restriction_does_not_fit_any_more_is_not_seen() {
    let (_folder, warehouse) = people();
    let catalog = warehouse.orchestrator.catalog();
    let table = catalog.table("people").unwrap();
    let fits = |filter: Option<&str>, masks: &[(&str, Mask)]| {
        warehouse.queries.judge(table, &restriction(filter, masks))
    };
    assert_eq!(
        fits(
            Some("people.country IN ('CZ', 'SK')"),
            &[("mail", Mask::Hash)]
        ),
        Ok(())
    );
    let phone = [("phone", Mask::Null)];
    let unfit: [(Option<&str>, &[_]); 6] = [
        (Some("land = 'CZ'"), &[]),
        (Some("country = 'CZ'; SELECT 1"), &[]),
        (Some("id IN (SELECT person FROM orders)"), &[]),
        (Some("getenv('HOME') = '/root'"), &[]),
        (Some("name + 1"), &[]),
        (None, &phone),
    ];
    for (filter, masks) in unfit {
        let judged = fits(filter, masks);
        assert!(judged.is_err(), "{filter:?} {masks:?}");
        let scope = scope(&[restriction(filter, masks)]);
        let seen =
            warehouse
                .queries
                .query(&scope, "SELECT 1 FROM people", &QueryOptions::default());
        assert!(
            matches!(seen, Err(QueryError::Engine { .. })),
            "{filter:?} {seen:?}"
        );
    }
    let other = rows(
        &warehouse,
        &scope(&[restriction(Some("x"), &[])]),
        "SELECT 1 FROM orders",
    );
    assert_eq!(other, [[json!(1)]]);
}

#[test]
fn a_renamed_column_does_not_uncover_what_was_masked() {
    let (_folder, warehouse) = people();
    let scope = scope(&[czech()]);
    assert_eq!(
        rows(&warehouse, &scope, "SELECT max(mail) FROM people"),
        [[json!(null)]]
    );
    publish(
        &warehouse,
        "crm",
        "people",
        r#"{"id":1,"name":"ann","country":"CZ","e_mail":"ann@corp","card":4111}"#,
    );
    warehouse.orchestrator.rebuild().unwrap();
    let seen = warehouse
        .queries
        .query(&scope, "SELECT * FROM people", &QueryOptions::default());
    assert!(matches!(seen, Err(QueryError::Engine { .. })), "{seen:?}");
}

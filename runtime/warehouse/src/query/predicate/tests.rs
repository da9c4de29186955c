//! Predicates that people write, and those that somebody would like to get through.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;

const COLUMNS: [&str; 5] = ["id", "Name", "day", "moment", "amount"];

static GATE: LazyLock<Gate> = LazyLock::new(|| Gate::new().unwrap());

fn judged(predicate: &str) -> Result<String, Rejection> {
    filtered(&GATE, "orders", &COLUMNS, predicate)
}

/// What runs, without the SELECT around it.
#[track_caller]
fn condition(predicate: &str) -> String {
    let sql = judged(predicate).unwrap_or_else(|error| panic!("{predicate}: {error}"));
    let start = "SELECT * FROM orders WHERE ";
    sql.strip_prefix(start)
        .unwrap_or_else(|| panic!("{sql}"))
        .to_owned()
}

/// A predicate, and the kind and culprit by which it is refused; nothing where it is not.
const TABLE: &[(&str, &str)] = &[
    ("id = 1", ""),
    ("ID = 1 and NAME like 'a%'", ""),
    ("orders.id = 1", ""),
    ("\"Name\" = 'x; DROP TABLE orders; --'", ""),
    ("name IS NOT NULL AND NOT (amount < 5 OR amount > 7)", ""),
    ("id IN (1, 2, 3) AND id NOT IN (4)", ""),
    ("amount BETWEEN 1 AND 2.5", ""),
    ("day >= DATE '2026-01-01' - INTERVAL 7 DAY", ""),
    ("day > current_date", ""),
    ("EXTRACT(year FROM day) = 2026", ""),
    (
        "DATE(moment) = '2026-01-01' AND CAST(id AS VARCHAR) = '1'",
        "",
    ),
    ("CASE WHEN id > 1 THEN true ELSE false END", ""),
    ("IF(id > 1, true, false) AND IFNULL(amount, 0) > 1", ""),
    ("COALESCE(name, 'x') || 'y' = 'xy'", ""),
    ("UPPER(TRIM(name)) = SUBSTR('ABC', 1, 1)", ""),
    ("name SIMILAR TO 'a.*' OR name LIKE 'a!%' ESCAPE '!'", ""),
    ("round(abs(-amount), 2) / 2 % 3 = 0 -- a comment", ""),
    ("id = 1 /* twice */ OR id = 2", ""),
    ("DATE_DIFF(day, current_date, DAY) > 1", ""),
    ("DATE_TRUNC(moment, MONTH) = TIMESTAMP '2026-01-01'", ""),
    ("id = 1;", "parse_error"),
    ("", "parse_error"),
    ("   \n", "parse_error"),
    ("-- nothing", "parse_error"),
    ("id = ", "parse_error"),
    ("id = 1 AND", "parse_error"),
    ("SAFE_CAST(id AS INT64) = 1", "parse_error"),
    ("id = 1\0", "parse_error"),
    ("1=1); DROP TABLE orders; SELECT (1", "multi_statement"),
    ("1=1); SELECT (1", "multi_statement"),
    ("1=1) UNION (SELECT 1", "disallowed_node"),
    (
        "1=1) UNION ALL SELECT * FROM salaries WHERE (1=1",
        "disallowed_node",
    ),
    ("1=1) ORDER BY (id", "disallowed_node"),
    ("1=1) GROUP BY (id", "disallowed_node"),
    ("1=1) LIMIT (1", "disallowed_node"),
    ("1=1) QUALIFY (true", "disallowed_node"),
    ("id = ?", "disallowed_node"),
    ("id = $secret", "disallowed_node"),
    ("* = 1", "disallowed_node"),
    ("COLUMNS(*) = 1", "disallowed_node"),
    ("#1 = 1", "disallowed_node"),
    ("name COLLATE nocase = 'x'", "disallowed_node"),
    ("name[1] = 'x'", "disallowed_node"),
    ("id IN (SELECT 1)", "nested_select"),
    ("EXISTS (SELECT 1 FROM salaries)", "nested_select"),
    ("id = (SELECT max(amount) FROM salaries)", "nested_select"),
    ("id = ANY([1, 2])", "nested_select"),
    ("nothing = 1 AND id IN (FROM salaries)", "nested_select"),
    ("DROP TABLE orders", "ddl_or_dml"),
    ("delete from orders", "ddl_or_dml"),
    ("INSERT INTO orders VALUES (1)", "ddl_or_dml"),
    ("salaries.amount > 1", "cross_table_reference"),
    ("main.orders.id = 1", "cross_table_reference"),
    ("other.nothing = read_text('x')", "cross_table_reference"),
    ("count(*) > 1", "unknown_function count_star"),
    ("sum(amount) > 1", "unknown_function sum"),
    ("sum(amount) OVER () > 1", "unknown_function sum"),
    ("abs(DISTINCT id) = 1", "unknown_function abs"),
    (
        "read_text('/etc/passwd') = 'x'",
        "unknown_function read_text",
    ),
    ("getenv('HOME') = 'x'", "unknown_function getenv"),
    (
        "current_setting('x') = 'y'",
        "unknown_function current_setting",
    ),
    ("system.main.abs(id) = 1", "unknown_function abs"),
    ("[id] = [1]", "unknown_function list_value"),
    ("(id, name) = (1, 'x')", "unknown_function row"),
    ("repeat('x', 1000000000) = 'x'", "unknown_function repeat"),
    ("name GLOB '*'", "unknown_function ~~~"),
    ("id ^ 2 = 4", "unknown_function ^"),
    ("nothing = 1", "unknown_column nothing"),
    ("orders.nothing = 1", "unknown_column nothing"),
    (
        "DATE_TRUNC(moment, nothing) = moment",
        "unknown_column nothing",
    ),
    ("localtimestamp > moment", "unknown_column localtimestamp"),
];

#[test]
fn each_predicate_is_let_through_or_refused_by_its_rule() {
    let told = |predicate: &str| match judged(predicate) {
        Ok(_) => String::new(),
        Err(rejection) => match rejection.culprit() {
            Some((_, name)) => format!("{} {name}", rejection.kind()),
            None => rejection.kind().to_owned(),
        },
    };
    let wrong: Vec<_> = TABLE
        .iter()
        .map(|(predicate, expected)| (predicate, expected, told(predicate)))
        .filter(|(_, expected, told)| *expected != told)
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_runs_is_written_anew_from_the_tree() {
    assert_eq!(condition("id=1 -- all"), "(id = 1)");
    assert_eq!(
        condition("id=1 /* x */ or\n id=2"),
        "((id = 1) OR (id = 2))"
    );
}

#[test]
fn functions_of_another_dialect_become_those_of_duckdb() {
    for (predicate, expected) in [
        ("UNIX_MILLIS(moment) > 1", "(epoch_ms(\"moment\") > 1)"),
        (
            "REGEXP_CONTAINS(name, 'a')",
            "regexp_matches(\"name\", 'a')",
        ),
        (
            "CONTAINS_SUBSTR(name, 'A')",
            "contains(lower(\"name\"), lower('A'))",
        ),
        (
            "FORMAT_DATE('%Y', day) = '2026'",
            "(strftime(\"day\", '%Y') = '2026')",
        ),
        (
            "DATE_DIFF(moment, day, DAY) > 1",
            "(date_diff('day', \"day\", \"moment\") > 1)",
        ),
        (
            "DATE_DIFF('day', day, moment) > 1",
            "(date_diff('day', \"day\", \"moment\") > 1)",
        ),
        (
            "DATE_TRUNC(moment, ISOWEEK) = moment",
            "(date_trunc('week', \"moment\") = \"moment\")",
        ),
        (
            "LOWER(CONTAINS_SUBSTR(UPPER(name), 'a')) = 'x'",
            "(lower(contains(lower(upper(\"name\")), lower('a'))) = 'x')",
        ),
    ] {
        let plain = condition(predicate).replace('"', "");
        assert_eq!(plain, expected.replace('"', ""), "{predicate}");
    }
}

#[test]
fn a_tower_of_brackets_is_refused_and_harms_nobody() {
    let tower = format!("{}id{} = 1", "abs(".repeat(2_000), ")".repeat(2_000));
    assert!(judged(&tower).is_err());
    assert_eq!(judged(&"a".repeat(MAX_LENGTH + 1)), Err(Rejection::Parse));
}

fn piece() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "id",
        "name",
        "salaries",
        ".",
        "(",
        ")",
        ",",
        ";",
        "'",
        "\"",
        "--",
        "/*",
        "*/",
        "=",
        "<",
        "AND",
        "OR",
        "NOT",
        "IN",
        "SELECT",
        "FROM",
        "WHERE",
        "UNION",
        "1",
        "'x'",
        "*",
        "abs",
        "read_text",
        "INTERVAL",
        "DAY",
        "CASE",
        "WHEN",
        "THEN",
        "END",
        "\n",
        "$1",
        "::",
        "INT",
        "[",
        "]",
        "WITH",
        "AS",
        "EXISTS",
        "é",
        "\u{202e}",
        "\\",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Whatever is let through reads the one table, and is let through again unchanged.
    #[test]
    fn no_text_gets_beyond_its_table(pieces in prop::collection::vec(piece(), 0..14)) {
        let text = pieces.join(" ");
        if let Ok(sql) = judged(&text) {
            let only = |name: &str| name.eq_ignore_ascii_case("orders");
            prop_assert!(GATE.check(&sql, only).is_ok(), "{text} became {sql}");
            let condition = sql.strip_prefix("SELECT * FROM orders WHERE ").unwrap();
            let again = judged(condition);
            prop_assert_eq!(again.as_deref(), Ok(sql.as_str()));
        }
    }

    #[test]
    fn any_text_is_judged_without_a_panic(text in "\\PC{0,60}") {
        let _ = judged(&text);
    }
}

//! What one may want to know of the flights.

/// A question and the SQL that answers it.
pub struct Query {
    /// In words.
    pub question: &'static str,
    /// In SQL. Without quotes of either kind inside identifiers, so that it can be pasted into a shell.
    pub sql: &'static str,
}

/// Three of them.
pub const QUERIES: [Query; 3] = [
    Query {
        question: "On which routes does one arrive late, and with whom?",
        sql: "\
SELECT f.origin || ' → ' || f.dest AS route, p.name AS airport, a.name AS airline,
       count(*) AS flights, round(avg(f.arr_delay), 1) AS minutes_late
FROM flights f
JOIN airlines a ON a.carrier = f.carrier
JOIN airports p ON p.faa = f.dest
GROUP BY ALL HAVING count(*) >= 300
ORDER BY minutes_late DESC LIMIT 6",
    },
    Query {
        question: "How much does the weather matter?",
        sql: "\
SELECT CASE WHEN w.precip > 0.1 THEN '4 heavy rain or snow'
            WHEN w.precip > 0 THEN '3 rain or snow'
            WHEN w.visib < 5 THEN '2 dry, poor visibility'
            ELSE '1 dry and clear' END AS weather,
       count(*) AS flights, round(avg(f.dep_delay), 1) AS minutes_late,
       round(100 * avg(CAST(f.dep_time IS NULL AS INT)), 1) AS percent_cancelled
FROM flights f JOIN weather w ON w.origin = f.origin AND w.time_hour = f.time_hour
GROUP BY 1 ORDER BY 1",
    },
    Query {
        question: "When should one fly?",
        sql: "\
SELECT hour // 2 * 2 AS from_hour, count(*) AS flights,
       round(avg(dep_delay), 1) AS minutes_late,
       bar(avg(dep_delay), 0, 25, 25) AS delay
FROM flights WHERE hour >= 5 GROUP BY 1 ORDER BY 1",
    },
];

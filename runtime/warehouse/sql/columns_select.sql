-- The columns of all views, in their order.
SELECT lower(table_name), column_name, data_type
FROM duckdb_columns()
WHERE NOT internal
ORDER BY table_name, column_index

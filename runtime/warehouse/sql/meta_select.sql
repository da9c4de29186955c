-- The tables of an extract, whoever wrote it.
SELECT table_name,
       coalesce(description, ''),
       coalesce(rows::BIGINT, 0),
       coalesce(size_bytes::BIGINT, 0),
       coalesce(epoch_us(extracted_at), 0),
       coalesce(query_mode, 'local')
FROM _meta
ORDER BY rowid

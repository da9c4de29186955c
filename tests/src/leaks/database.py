"""Prints every value of every table of a DuckDB file, a line each: what the file compresses cannot be searched as it lies
there. Works on a copy, so that what is left in the log is read too."""

import os
import shutil
import sys
import tempfile

import duckdb


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


with tempfile.TemporaryDirectory() as place:
    copy = os.path.join(place, "copy.duckdb")
    shutil.copy(sys.argv[1], copy)
    if os.path.exists(sys.argv[1] + ".wal"):
        shutil.copy(sys.argv[1] + ".wal", copy + ".wal")
    database = duckdb.connect(copy)
    names = "SELECT schema_name, table_name FROM duckdb_tables() WHERE NOT internal"
    for schema, table in database.execute(names).fetchall():
        rows = database.execute(f"SELECT * FROM {quoted(schema)}.{quoted(table)}")
        while batch := rows.fetchmany(10_000):
            for row in batch:
                for value in row:
                    bytes_ = value if isinstance(value, bytes) else str(value).encode()
                    sys.stdout.buffer.write(bytes_ + b"\n")

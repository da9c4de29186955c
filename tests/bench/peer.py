"""The peers of the benches: plain DuckDB in Python. Prints one JSON document of what it measured.

peer.py extract SQL              runs one COPY on a fresh connection
peer.py rebuild EXTRACTS FILE    a master database as a simple orchestrator makes it: attach all, a view a table
peer.py attach EXTRACTS SECONDS  queries, each on a fresh connection that attaches all extracts
peer.py direct EXTRACTS SECONDS  queries on one connection with a view over each table's parquet files
peer.py direct_threads EXTRACTS SECONDS  the same on 8 threads, each with a cursor of that connection
peer.py serve PORT               a web server that answers health checks, with DuckDB loaded
"""

import glob
import json
import os
import random
import resource
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import duckdb


def extracts(folder):
    return sorted(glob.glob(os.path.join(folder, "*", "extract.duckdb")))


def attach_all(connection, folder):
    names = []
    for path in extracts(folder):
        name = os.path.basename(os.path.dirname(path))
        connection.execute(f"""ATTACH '{path}' AS "{name}" (READ_ONLY)""")
        names.append(name)
    return names


def tables(connection, folder):
    for source in attach_all(connection, folder):
        for (table,) in connection.execute(f'SELECT table_name FROM "{source}"._meta').fetchall():
            yield source, table


def extract(sql):
    connection = duckdb.connect()
    before, began = os.times(), time.perf_counter()
    connection.execute(sql)
    seconds, after = time.perf_counter() - began, os.times()
    cpu = after.user + after.system - before.user - before.system
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    return {"seconds": seconds, "cpu": cpu, "megabytes": peak}


def rebuild(folder, file):
    began = time.perf_counter()
    connection = duckdb.connect(file)
    for source, table in list(tables(connection, folder)):
        connection.execute(f'CREATE OR REPLACE VIEW "{table}" AS SELECT * FROM "{source}"."{table}"')
    connection.close()
    return {"seconds": time.perf_counter() - began}


def measured(seconds, ask):
    latencies, end = [], time.perf_counter() + seconds
    while (began := time.perf_counter()) < end:
        ask()
        latencies.append(time.perf_counter() - began)
    return {"latencies": latencies}


def attach(folder, seconds):
    with duckdb.connect() as connection:
        known = list(tables(connection, folder))

    def ask():
        source, table = random.choice(known)
        with duckdb.connect() as connection:
            attach_all(connection, folder)
            simple(connection, f'"{source}"."{table}"')

    return measured(seconds, ask)


def direct(folder, seconds):
    connection, known = viewed(folder)
    return measured(seconds, lambda: simple(connection, f'"{random.choice(known)}"'))


def direct_threads(folder, seconds):
    connection, known = viewed(folder)
    end = time.perf_counter() + seconds

    def ask(cursor):
        answers = 0
        while time.perf_counter() < end:
            simple(cursor, f'"{random.choice(known)}"')
            answers += 1
        return answers

    with ThreadPoolExecutor(8) as pool:
        answers = sum(pool.map(ask, [connection.cursor() for _ in range(8)]))
    return {"rate": answers / seconds}


def viewed(folder):
    # The fastest that was found for such small tables.
    connection = duckdb.connect()
    connection.execute("SET threads = 1; SET parquet_metadata_cache = true")
    known = [table for _, table in tables(connection, folder)]
    for source, table in list(tables(duckdb.connect(), folder)):
        files = os.path.join(folder, source, "data", table, "*.parquet")
        connection.execute(f"""CREATE VIEW "{table}" AS FROM read_parquet('{files}')""")
    return connection, known


def simple(connection, table):
    return connection.execute(f"SELECT count(*), max(amount) FROM {table} WHERE quantity < 50").fetchall()


def serve(port):
    from http.server import BaseHTTPRequestHandler, HTTPServer

    duckdb.connect().execute("SELECT 1")

    class Health(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"status":"ok"}')

        def log_message(self, *_):
            pass

    HTTPServer(("127.0.0.1", int(port)), Health).serve_forever()


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    measures = {"extract": extract, "rebuild": rebuild, "attach": attach, "direct": direct, "direct_threads": direct_threads, "serve": serve}
    if command in ("attach", "direct", "direct_threads"):
        arguments[1] = float(arguments[1])
    json.dump(measures[command](*arguments), sys.stdout)

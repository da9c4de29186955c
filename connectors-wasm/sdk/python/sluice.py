"""Everything that a Sluice connector in Python needs, in one file.

A connector holds no credential, file or socket. It asks the host for responses, and hands them, mostly unread, to
tables. `sluice connector build` puts this module beside yours:

    import sluice

    class Hello(sluice.Connector):
        def check(self):
            sluice.get(self.settings["url"]).ok()

        def discover(self):
            return [sluice.TableSpec("greetings")]

        def sync(self, tables):
            page = sluice.get(self.settings["url"]).ok()
            sluice.Table(sluice.TableSpec("greetings")).append_body(page, sluice.Json())

    Pull = sluice.export(Hello)
"""

import json
from dataclasses import dataclass, field
from typing import Any, Iterator, Optional
from urllib.parse import urljoin, urlsplit

from componentize_py_types import Err
from wit_world.exports import pull as _pull
from wit_world.imports import cursors as _cursors
from wit_world.imports import http as _http
from wit_world.imports import run as _run
from wit_world.imports import tables as _tables
from wit_world.imports import types as _types

# The most bytes of records in one call of the host.
_BATCH = 1 << 20
_CHUNK = 256 << 10


class Failure(Exception):
    """Why a run did not work. The kind decides what the host does next, so use the one that is true."""

    def __init__(self, kind: str, message: str, retry_after_seconds: Optional[int] = None):
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.retry_after_seconds = retry_after_seconds

    def _lower(self):
        if self.kind == "rate-limited":
            return _types.Failure_RateLimited(_types.RateLimit(self.message, self.retry_after_seconds))
        kinds = {
            "config": _types.Failure_Config,
            "auth": _types.Failure_Auth,
            "upstream": _types.Failure_Upstream,
            "limit": _types.Failure_Limit,
        }
        return kinds.get(self.kind, _types.Failure_Bug)(self.message)


@dataclass
class Column:
    """A column whose type must not be inferred: `Column("total", "decimal(10,2)")`."""

    name: str
    type: str
    description: Optional[str] = None

    def _lower(self):
        if self.type.startswith("decimal("):
            precision, scale = (int(part) for part in self.type[8:-1].split(","))
            lowered = _types.ColumnType_Decimal(_types.DecimalType(precision, scale))
        else:
            lowered = getattr(_types, f"ColumnType_{self.type.capitalize()}")()
        return _types.Column(self.name, lowered, self.description)


@dataclass
class TableSpec:
    """A table: what `discover` lists, and what `Table` opens. `mode` is replace, append or merge."""

    name: str
    description: str = ""
    primary_key: list = field(default_factory=list)
    mode: str = "replace"
    columns: list = field(default_factory=list)
    partition_by: Optional[str] = None


@dataclass
class Json:
    """A JSON body: a pointer to its records, and pointers to values that the append shall return."""

    records: str = ""
    values: list = field(default_factory=list)

    def _lower(self):
        return _tables.BodyFormat_Json(_tables.JsonOptions(self.records, self.values, _tables.Compression.AUTO))


@dataclass
class Csv:
    """A CSV body, whose first line names the columns unless `names` does."""

    delimiter: str = ","
    names: list = field(default_factory=list)
    header: bool = True

    def _lower(self):
        options = _tables.CsvOptions(self.delimiter, None, self.header, self.names, _tables.Compression.AUTO)
        return _tables.BodyFormat_Csv(options)


class Ndjson:
    """A body with one JSON object a line."""

    def _lower(self):
        return _tables.BodyFormat_Ndjson(_tables.Compression.AUTO)


class Response:
    """A response whose body was not read yet."""

    def __init__(self, inner, url: str):
        self._inner = inner
        parts = urlsplit(url)
        # Without query and user name, which can hold secrets.
        self._place = f"{parts.scheme}://{parts.hostname}{parts.path}"

    @property
    def status(self) -> int:
        return self._inner.status()

    def header(self, name: str) -> Optional[str]:
        found = (header.value for header in self._inner.headers() if header.name == name.lower())
        return next(found, None)

    def ok(self) -> "Response":
        """Itself for a 2xx, else the failure that the status stands for."""
        status = self.status
        if 200 <= status < 300:
            return self
        message = f"{self._place} answered with status {status}"
        if status == 429:
            wait = self.header("retry-after") or ""
            raise Failure("rate-limited", message, int(wait) if wait.isdigit() else None)
        if status in (401, 403):
            raise Failure("auth", message)
        if 400 <= status < 500 and status not in (408, 425):
            raise Failure("config", message)
        raise Failure("upstream", message)

    def chunks(self) -> Iterator[bytes]:
        while (chunk := _lifted(self._inner.read, _CHUNK)) is not None:
            yield bytes(chunk)

    def json(self) -> Any:
        """The whole body. What may be large belongs into `Table.append_body`."""
        try:
            return json.loads(b"".join(self.chunks()))
        except ValueError as error:
            raise Failure("upstream", f"{self._place} sent something that is not JSON") from error


def request(method: str, url: str, headers: Optional[dict] = None, body: Optional[bytes] = None) -> Response:
    """Sends a request. The host adds credentials, retries, and refuses what was not granted."""
    lines = [_http.Header(name, value) for name, value in (headers or {}).items()]
    asked = _http.Request(getattr(_http.Method, method.upper()), url, lines, body, None)
    return Response(_lifted(_http.send, asked), url)


def get(url: str, headers: Optional[dict] = None) -> Response:
    """Sends a GET request."""
    return request("GET", url, headers)


class Table:
    """An open table. Its rows stay in the run when it is closed."""

    def __init__(self, spec: TableSpec):
        columns = [column._lower() for column in spec.columns]
        mode = getattr(_tables.WriteMode, spec.mode.upper())
        lowered = _tables.TableSpec(
            spec.name, spec.description, columns, list(spec.primary_key), mode, spec.partition_by
        )
        self._inner = _lifted(_tables.Table.open, lowered)

    def append_body(self, response: Response, form) -> list:
        """Hands a body over unread: its bytes never come here. Returns the values that `form` asked for."""
        appended = _lifted(self._inner.append_body, response._inner, form._lower())
        return [None if value is None else json.loads(value) for value in appended.values]

    def append_pages(self, url: str, form: Json, following: str) -> list:
        """Appends a page and those after it; `following` points to the next page's address. Returns the last values."""
        seen = set()
        while url not in seen:
            seen.add(url)
            *values, after = self.append_body(get(url).ok(), Json(form.records, [*form.values, following]))
            if not after:
                return values
            url = urljoin(url, after)
        raise Failure("upstream", "the pages lead back to one that was read already")

    def append(self, records: list) -> None:
        """Adds records that you shaped."""
        batch, size = [], 0
        for record in records:
            line = json.dumps(record).encode()
            if batch and size + len(line) > _BATCH:
                _lifted(self._inner.append_json, b"\n".join(batch))
                batch, size = [], 0
            batch.append(line)
            size += len(line) + 1
        if batch:
            _lifted(self._inner.append_json, b"\n".join(batch))


def cursor(table: str) -> Optional[str]:
    """Where the reading of a table stands; nothing before the first run."""
    found = _cursors.get(table)
    return None if found is None else bytes(found).decode()


def set_cursor(table: str, text: str) -> None:
    """Changes it. It becomes durable together with the rows."""
    _lifted(_cursors.set, table, text.encode())


def log(message: str, level: str = "info") -> None:
    """Writes a line to the run's log."""
    _run.log(getattr(_run.Level, level.upper()), message)


def progress(message: str, done: int, total: Optional[int] = None) -> None:
    """Says how far the run is."""
    _run.report(_run.Progress(message, done, total))


def checkpoint() -> None:
    """Publishes what is written so far, and the cursors with it."""
    _lifted(_run.checkpoint)


def setting(settings: dict, name: str, kind: type, default: Any = None) -> Any:
    """A setting of this type. The host has checked them already; this tells whoever calls without a host."""
    value = settings.get(name, default) if isinstance(settings, dict) else None
    if not isinstance(value, kind):
        raise Failure("config", f"the settings are wrong: `{name}` must be of type {kind.__name__}")
    return value


class Connector:
    """A connector: the host makes one for each call, from the settings of its source."""

    def __init__(self, settings: dict):
        self.settings = settings

    def check(self) -> None:
        raise NotImplementedError

    def discover(self) -> list:
        raise NotImplementedError

    def sync(self, tables: list) -> None:
        raise NotImplementedError


def export(connector: type) -> type:
    """Makes a connector what this component exports: `Pull = sluice.export(Mine)`."""

    class Pull:
        def check(self) -> None:
            _lowered(lambda: connector(_settings()).check())

        def discover(self) -> list:
            return _lowered(lambda: [_info(spec) for spec in connector(_settings()).discover()])

        def sync(self, tables: list) -> None:
            _lowered(lambda: connector(_settings()).sync(tables))

    return Pull


def _settings() -> dict:
    return json.loads(_run.settings())


def _info(spec: TableSpec):
    columns = [column._lower() for column in spec.columns]
    return _pull.TableInfo(spec.name, spec.description, columns, list(spec.primary_key))


def _lifted(call, *arguments):
    try:
        return call(*arguments)
    except Err as error:
        failure = error.value
        kind = type(failure).__name__.removeprefix("Failure_")
        if kind == "RateLimited":
            limit = failure.value
            raise Failure("rate-limited", limit.message, limit.retry_after_seconds) from None
        raise Failure(kind.lower(), failure.value) from None


def _lowered(call):
    try:
        return call()
    except Failure as failure:
        raise Err(failure._lower()) from None
    except Exception as error:
        raise Err(_types.Failure_Bug(f"{type(error).__name__}: {error}")) from None

// Everything that a Sluice connector in JavaScript needs, in one file.
//
// A connector holds no credential, file or socket. It asks the host for responses, and hands them, mostly unread, to
// tables. `sluice connector build` puts this module beside yours:
//
//     import { connector, get, json, Table } from './sluice.js';
//
//     export const pull = connector((settings) => ({
//       check() { get(settings.url).ok(); },
//       discover() { return [{ name: 'greetings' }]; },
//       sync(tables) { new Table({ name: 'greetings' }).appendBody(get(settings.url).ok(), json()); },
//     }));

import { get as getCursor, set as setCursorBytes } from 'sluice:connector/cursors@0.1.0';
import { send } from 'sluice:connector/http@0.1.0';
import { checkpoint as hostCheckpoint, log as hostLog, report, settings } from 'sluice:connector/run@0.1.0';
import { Table as HostTable } from 'sluice:connector/tables@0.1.0';

const BATCH = 1 << 20; // The most bytes of records in one call of the host.
const CHUNK = 256 << 10;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Why a run did not work. The kind decides what the host does next, so use the one that is true. */
export class Failure extends Error {
  constructor(kind, message, retryAfterSeconds) {
    super(message);
    this.kind = kind;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/** A JSON body: a pointer to its records, and pointers to values that the append shall return. */
export function json(records = '', values = []) {
  return { tag: 'json', val: { records, values, compression: 'auto' } };
}

/** A CSV body, whose first line names the columns unless `names` does. */
export function csv({ delimiter = ',', names = [], header = true } = {}) {
  return { tag: 'csv', val: { delimiter, quote: undefined, header, names, compression: 'auto' } };
}

/** A body with one JSON object a line. */
export function ndjson() {
  return { tag: 'ndjson', val: 'auto' };
}

/** A response whose body was not read yet. */
export class Response {
  constructor(inner, url) {
    this.inner = inner;
    // Without query and user name, which can hold secrets.
    this.place = url.split(/[?#]/)[0].replace(/\/\/[^/]*@/, '//');
  }

  get status() {
    return this.inner.status();
  }

  header(name) {
    return this.inner.headers().find((header) => header.name === name.toLowerCase())?.value;
  }

  /** Itself for a 2xx, else the failure that the status stands for. */
  ok() {
    const status = this.status;
    if (status >= 200 && status < 300) return this;
    const message = `${this.place} answered with status ${status}`;
    if (status === 429) {
      const wait = Number.parseInt(this.header('retry-after') ?? '', 10);
      throw new Failure('rate-limited', message, Number.isNaN(wait) ? undefined : wait);
    }
    if (status === 401 || status === 403) throw new Failure('auth', message);
    if (status >= 400 && status < 500 && status !== 408 && status !== 425) throw new Failure('config', message);
    throw new Failure('upstream', message);
  }

  /** The whole body as text. What may be large belongs into `Table.appendBody`. */
  text() {
    const parts = [];
    const streaming = new TextDecoder();
    for (;;) {
      const chunk = lifted(() => this.inner.read(CHUNK));
      if (chunk === undefined) return parts.join('') + streaming.decode();
      parts.push(streaming.decode(chunk, { stream: true }));
    }
  }

  json() {
    const text = this.text();
    try {
      return JSON.parse(text);
    } catch {
      throw new Failure('upstream', `${this.place} sent something that is not JSON`);
    }
  }
}

/** Sends a request. The host adds credentials, retries, and refuses what was not granted. */
export function request(method, url, { headers = {}, body } = {}) {
  const lines = Object.entries(headers).map(([name, value]) => ({ name, value }));
  const bytes = typeof body === 'string' ? encoder.encode(body) : body;
  const asked = { method: method.toLowerCase(), url, headers: lines, body: bytes, timeoutMs: undefined };
  return new Response(lifted(() => send(asked)), url);
}

/** Sends a GET request. */
export function get(url, headers = {}) {
  return request('get', url, { headers });
}

/** An open table. Its rows stay in the run when it is closed. */
export class Table {
  constructor(spec) {
    this.inner = lifted(() => HostTable.open({ mode: 'replace', partitionBy: undefined, ...described(spec) }));
  }

  /** Hands a body over unread: its bytes never come here. Returns the values that `format` asked for. */
  appendBody(response, format) {
    const { values } = lifted(() => this.inner.appendBody(response.inner, format));
    return values.map((value) => (value === undefined ? undefined : JSON.parse(value)));
  }

  /** Appends a page and those after it; `next` points to the next page's address. Returns the last values. */
  appendPages(first, { tag, val }, next) {
    const format = { tag, val: { ...val, values: [...val.values, next] } };
    const seen = new Set();
    for (let url = first; !seen.has(url); ) {
      seen.add(url);
      const values = this.appendBody(get(url).ok(), format);
      const after = values.pop();
      if (!after) return values;
      url = new URL(after, url).href;
    }
    throw new Failure('upstream', 'the pages lead back to one that was read already');
  }

  /** Adds records that you shaped. */
  append(records) {
    let batch = '';
    const flush = () => batch && lifted(() => this.inner.appendJson(encoder.encode(batch)));
    for (const record of records) {
      const line = `${JSON.stringify(record)}\n`;
      if (batch.length + line.length > BATCH) {
        flush();
        batch = '';
      }
      batch += line;
    }
    flush();
  }
}

/** Where the reading of a table stands; undefined before the first run. */
export function cursor(table) {
  const found = getCursor(table);
  return found === undefined ? undefined : decoder.decode(found);
}

/** Changes it. It becomes durable together with the rows. */
export function setCursor(table, text) {
  lifted(() => setCursorBytes(table, encoder.encode(text)));
}

/** Writes a line to the run's log. */
export function log(message, level = 'info') {
  hostLog(level, message);
}

/** Says how far the run is. */
export function progress(message, done, total) {
  report({ message, done: BigInt(done), total: total === undefined ? undefined : BigInt(total) });
}

/** Publishes what is written so far, and the cursors with it. */
export function checkpoint() {
  lifted(() => hostCheckpoint());
}

/** A setting of this type, such as 'string'. The host has checked them already; this tells whoever calls without one. */
export function setting(settings, name, type, otherwise) {
  const value = settings?.[name] ?? otherwise;
  if (typeof value === type) return value;
  throw new Failure('config', `the settings are wrong: \`${name}\` must be of type ${type}`);
}

/** Makes a connector what this component exports: `make` gets the settings and returns check, discover and sync. */
export function connector(make) {
  const call = (use) => lowered(() => use(make(JSON.parse(settings()))));
  return {
    check: () => call((mine) => void mine.check()),
    discover: () => call((mine) => mine.discover().map(described)),
    sync: (tables) => call((mine) => void mine.sync(tables)),
  };
}

function described({ name, description = '', columns = [], primaryKey = [], ...rest }) {
  return { name, description, columns: columns.map(column), primaryKey, ...rest };
}

function column({ name, type, description }) {
  const decimal = /^decimal\((\d+),(\d+)\)$/.exec(type);
  const lowered = decimal
    ? { tag: 'decimal', val: { precision: Number(decimal[1]), scale: Number(decimal[2]) } }
    : { tag: type };
  return { name, type: lowered, description };
}

// What the host throws carries a failure of the interface as `payload`.
function lifted(call) {
  try {
    return call();
  } catch (error) {
    const failure = error?.payload ?? error;
    if (failure?.tag === 'rate-limited') {
      throw new Failure(failure.tag, failure.val.message, failure.val.retryAfterSeconds);
    }
    if (failure?.tag) throw new Failure(failure.tag, failure.val);
    throw error;
  }
}

function lowered(call) {
  try {
    return call();
  } catch (error) {
    if (!(error instanceof Failure)) throw { tag: 'bug', val: `${error?.name}: ${error?.message}` };
    if (error.kind !== 'rate-limited') throw { tag: error.kind, val: error.message };
    const val = { message: error.message, retryAfterSeconds: error.retryAfterSeconds };
    throw { tag: 'rate-limited', val };
  }
}

//! Calls of a native build: to the fake host of this thread, under the rules of the connector interface.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use super::{Answer, CURRENT, World, Written, decode};
use crate::http::{Method, Request};
use crate::log::Level;
use crate::remote::{Attachment, RemoteTable};
use crate::{Appended, Failure, Format, TableSpec, WriteMode};

fn current() -> Result<Rc<RefCell<World>>, Failure> {
    let current = CURRENT.with_borrow(Clone::clone);
    current.ok_or_else(|| Failure::bug("a host function was called outside of a `FakeHost`"))
}

/// The world of this thread, for a call that only `sync` may make.
fn writable(call: &str) -> Result<Rc<RefCell<World>>, Failure> {
    let world = current()?;
    if world.borrow().writable {
        Ok(world)
    } else {
        Err(Failure::bug(format!(
            "`{call}` was called outside of `sync`"
        )))
    }
}

#[derive(Debug)]
pub(crate) struct Response {
    answer: Answer,
    read: usize,
}

impl Response {
    pub(crate) fn status(&self) -> u16 {
        self.answer.status
    }

    pub(crate) fn headers(&self) -> Vec<(String, String)> {
        self.answer.headers.clone()
    }

    #[expect(clippy::unnecessary_wraps, reason = "the component's twin fails")]
    pub(crate) fn read(&mut self, max_bytes: u32) -> Result<Option<Vec<u8>>, Failure> {
        let rest = self.answer.body.get(self.read..).unwrap_or_default();
        let count = rest.len().min(max_bytes.clamp(1, 1 << 20) as usize);
        self.read += count;
        Ok((count > 0).then(|| rest[..count].to_vec()))
    }
}

pub(crate) fn send(request: Request) -> Result<Response, Failure> {
    let head = request.method == Method::Head;
    let mut answer = current()?.borrow_mut().answer(request)?;
    if head {
        answer.body.clear();
    }
    Ok(Response { answer, read: 0 })
}

#[derive(Debug)]
pub(crate) struct Table {
    world: Rc<RefCell<World>>,
    key: String,
}

impl Table {
    pub(crate) fn open(spec: &TableSpec) -> Result<Self, Failure> {
        let world = writable("table.open")?;
        check(spec)?;
        let key = spec.name.to_ascii_lowercase();
        let mut state = world.borrow_mut();
        let written = state.tables.entry(key.clone()).or_insert_with(|| Written {
            spec: spec.clone(),
            rows: Vec::new(),
            open: false,
        });
        if written.open {
            return Err(Failure::bug(format!(
                "the table `{}` is open already",
                spec.name
            )));
        }
        if written.spec != *spec {
            let name = &spec.name;
            return Err(Failure::bug(format!(
                "`{name}` was opened before, with another specification"
            )));
        }
        written.open = true;
        drop(state);
        Ok(Self { world, key })
    }

    /// A failed append leaves the run unusable, as it does in the real host.
    fn append(&self, decoded: Result<decode::Rows, Failure>) -> Result<Appended, Failure> {
        let mut world = self.world.borrow_mut();
        if world.unusable {
            return Err(Failure::bug("an append followed one that failed"));
        }
        world.unusable = decoded.is_err();
        let decoded = decoded?;
        let appended = Appended {
            rows: decoded.rows.len() as u64,
            values: decoded.values,
        };
        if let Some(written) = world.tables.get_mut(&self.key) {
            written.rows.extend(decoded.rows);
        }
        Ok(appended)
    }

    #[expect(clippy::needless_pass_by_value, reason = "a body is consumed")]
    pub(crate) fn append_body(&self, body: Response, format: &Format) -> Result<Appended, Failure> {
        self.append(decode::body(&body.answer.body[body.read..], format))
    }

    pub(crate) fn append_json(&self, records: &[u8]) -> Result<u64, Failure> {
        Ok(self.append(decode::records(records))?.rows)
    }

    pub(crate) fn append_arrow(&self, _stream: &[u8]) -> Result<u64, Failure> {
        Ok(self.append(Ok(decode::Rows::default()))?.rows)
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        if let Some(written) = self.world.borrow_mut().tables.get_mut(&self.key) {
            written.open = false;
        }
    }
}

fn is_name(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn check(spec: &TableSpec) -> Result<(), Failure> {
    if !is_name(&spec.name) {
        return Err(Failure::bug(format!("`{}` is not a table name", spec.name)));
    }
    if spec.mode == WriteMode::Merge && spec.primary_key.is_empty() {
        return Err(Failure::bug(format!(
            "`{}` merges without a primary key",
            spec.name
        )));
    }
    Ok(())
}

pub(crate) fn cursor(table: &str) -> Option<Vec<u8>> {
    let world = current().ok()?;
    let world = world.borrow();
    world.cursors.get(&table.to_ascii_lowercase()).cloned()
}

pub(crate) fn set_cursor(table: &str, cursor: &[u8]) -> Result<(), Failure> {
    let world = writable("cursor.set")?;
    if !is_name(table) || cursor.len() > 1 << 20 {
        return Err(Failure::bug(
            "a cursor has a table's name and at most 1 MiB",
        ));
    }
    let mut world = world.borrow_mut();
    world
        .cursors
        .insert(table.to_ascii_lowercase(), cursor.to_vec());
    Ok(())
}

pub(crate) fn log(level: Level, message: &str) {
    if let Ok(world) = current() {
        world.borrow_mut().log.push((level, message.to_owned()));
    }
}

pub(crate) fn report(message: &str, _done: u64, _total: Option<u64>) {
    if let Ok(world) = current() {
        world.borrow_mut().progress.push(message.to_owned());
    }
}

pub(crate) fn wait(time: Duration) {
    if let Ok(world) = current() {
        world.borrow_mut().waits.push(time);
    }
}

pub(crate) fn checkpoint() -> Result<(), Failure> {
    writable("checkpoint")?.borrow_mut().checkpoints += 1;
    Ok(())
}

pub(crate) fn attach(attachment: &Attachment) -> Result<(), Failure> {
    let world = writable("remote.attach")?;
    let mut world = world.borrow_mut();
    let known = |other: &Attachment| other.alias.eq_ignore_ascii_case(&attachment.alias);
    if !is_name(&attachment.alias) || world.attachments.iter().any(known) {
        return Err(Failure::bug(format!(
            "the alias `{}` is malformed or repeated",
            attachment.alias
        )));
    }
    world.attachments.push(attachment.clone());
    Ok(())
}

pub(crate) fn expose(table: &RemoteTable) -> Result<(), Failure> {
    let world = writable("remote.expose")?;
    let mut world = world.borrow_mut();
    if !world
        .attachments
        .iter()
        .any(|known| known.alias == table.alias)
    {
        return Err(Failure::bug(format!(
            "nothing was attached as `{}`",
            table.alias
        )));
    }
    world.exposed.push(table.clone());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::FakeHost;
    use super::*;
    use crate::{Table, cursor};

    #[test]
    fn writing_outside_of_sync_is_a_bug() {
        struct Early;
        impl crate::Connector for Early {
            type Settings = ();
            fn new((): ()) -> Result<Self, Failure> {
                Ok(Self)
            }
            fn check(&self) -> Result<(), Failure> {
                cursor::set("orders", b"7")
            }
            fn discover(&self) -> Result<Vec<crate::TableInfo>, Failure> {
                Table::open(&TableSpec::new("orders")).map(|_| Vec::new())
            }
            fn sync(&self, _: &[String]) -> Result<(), Failure> {
                cursor::set("orders", b"7")?;
                crate::checkpoint()
            }
        }
        let host = FakeHost::new();
        assert!(matches!(host.check::<Early>("null"), Err(Failure::Bug(_))));
        assert!(matches!(
            host.discover::<Early>("null"),
            Err(Failure::Bug(_))
        ));
        host.sync::<Early>("null", &[]).unwrap();
        assert_eq!(
            (host.cursor("ORDERS").as_deref(), host.checkpoints()),
            (Some(&b"7"[..]), 1)
        );
    }

    #[test]
    fn a_table_is_open_once_and_nothing_follows_a_failed_append() {
        FakeHost::new().run(|| {
            let table = Table::open(&TableSpec::new("orders")).unwrap();
            assert!(matches!(
                Table::open(&TableSpec::new("Orders")),
                Err(Failure::Bug(_))
            ));
            assert_eq!(
                table.append_json(&[serde_json::json!({"id": 1})]).unwrap(),
                1
            );
            assert!(matches!(
                table.append_json_bytes(b"[1]"),
                Err(Failure::Bug(_))
            ));
            assert!(matches!(
                table.append_json(&[serde_json::json!({})]),
                Err(Failure::Bug(_))
            ));
        });
    }
}

//! What a publish brings about.

use std::sync::Arc;

use domain::ports::{Cursors, Extracts, Outcome, Published, Stage};
use domain::{Failure, Operation, PublishedTable, RunId, SourceName};

use super::{Fake, set_up};
use crate::{Ingest, Ports};

#[test]
fn master_views_follow_a_publish() {
    let t = set_up();
    let ports = Ports {
        extracts: Arc::new(Open(t.fake.clone())),
        ..t.ingest.ports.clone()
    };
    let ingest = Ingest::new(ports, super::scheduling::rules());
    let run = ingest
        .start(&SourceName::parse("shop").unwrap(), Operation::Sync, vec![])
        .unwrap();
    let published = Published {
        tables: vec![("orders".parse().unwrap(), 7)],
        bytes: 1,
    };
    t.end.send(Ok(Outcome::Synced(published))).unwrap();
    while ingest.watch(run.id).is_some() {
        std::thread::yield_now();
    }
    assert_eq!(
        *t.fake.rebuilt.lock().unwrap(),
        [SourceName::parse("shop").unwrap()]
    );
    assert_eq!(t.fake.reports.lock().unwrap()[0].failure, None);
}

/// Extracts whose stage opens.
pub(super) struct Open(pub(super) Arc<Fake>);

impl Extracts for Open {
    fn stage(&self, _: &SourceName, _: RunId) -> Result<Box<dyn Stage>, Failure> {
        Ok(Box::new(NoRows::seen_by(|_| {})))
    }
    fn cursors(&self, source: &SourceName) -> Result<Cursors, Failure> {
        self.0.cursors(source)
    }
    fn rebuild(&self, source: &SourceName) -> Result<Vec<PublishedTable>, Failure> {
        self.0.rebuild(source)
    }
}

/// A stage without rows, whose publishes are seen.
pub(crate) struct NoRows(Box<dyn Fn(&Cursors) + Send>);

impl NoRows {
    pub(crate) fn seen_by(see: impl Fn(&Cursors) + Send + 'static) -> Self {
        Self(Box::new(see))
    }
}

impl Stage for NoRows {
    fn open_table(&mut self, _: &domain::TableSpec) -> Result<(), Failure> {
        Ok(())
    }
    fn append_body(
        &mut self,
        _: &domain::TableName,
        _: &domain::format::BodyFormat,
        _: Box<dyn std::io::Read + Send>,
    ) -> Result<domain::format::Appended, Failure> {
        Ok(Default::default())
    }
    fn append_json(&mut self, _: &domain::TableName, _: &[u8]) -> Result<u64, Failure> {
        Ok(0)
    }
    fn append_arrow(&mut self, _: &domain::TableName, _: &[u8]) -> Result<u64, Failure> {
        Ok(0)
    }
    fn attach(&mut self, _: &domain::table::Attachment) -> Result<(), Failure> {
        Ok(())
    }
    fn expose(&mut self, _: &domain::table::RemoteTable) -> Result<(), Failure> {
        Ok(())
    }
    fn limit_rows(&mut self, _: u64) {}
    fn limit_bytes(&mut self, _: u64) {}

    fn written(&self) -> (u64, u64) {
        (0, 0)
    }
    fn publish(&mut self, cursors: &Cursors) -> Result<Published, Failure> {
        (self.0)(cursors);
        Ok(Published::default())
    }
}

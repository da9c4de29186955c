//! `cursors`: where tables' reading stands.

use domain::protocol::{Call, Reply};

use super::Answer;
use crate::bindings::sluice::connector::cursors::Host;
use crate::guest::Guest;

impl Host for Guest {
    fn get(&mut self, table: String) -> wasmtime::Result<Option<Vec<u8>>> {
        let answer = self.ask(
            Call::GetCursor { table },
            &[],
            |reply, cursor| match reply {
                Reply::Cursor { found } => Some(found.then_some(cursor)),
                _ => None,
            },
        )?;
        // The interface has no failure here: what the host cannot find is not there.
        Ok(answer.unwrap_or_default())
    }

    fn set(&mut self, table: String, cursor: Vec<u8>) -> Answer<()> {
        self.tell(Call::SetCursor { table }, &cursor)
    }
}

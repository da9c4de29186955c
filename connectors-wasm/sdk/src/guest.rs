//! The component's exports, put on top of a `Connector`.

use std::marker::PhantomData;

use crate::bindings::exports::sluice::connector::pull::{Guest, TableInfo};
use crate::bindings::receiver::exports::sluice::connector::receive;
use crate::bindings::sluice::connector::{run, types};
use crate::{Connector, Delivery, Failure, Receiver};

/// A connector as the component's exports.
#[derive(Debug)]
pub struct Exported<C>(PhantomData<C>);

impl<C: Connector> Guest for Exported<C> {
    fn check() -> Result<(), types::Failure> {
        Ok(start::<C>()?.check()?)
    }

    fn discover() -> Result<Vec<TableInfo>, types::Failure> {
        let tables = start::<C>()?.discover()?;
        Ok(tables.into_iter().map(Into::into).collect())
    }

    fn sync(tables: Vec<String>) -> Result<(), types::Failure> {
        Ok(start::<C>()?.sync(&tables)?)
    }
}

impl<C: Receiver> receive::Guest for Exported<C> {
    fn handle(deliveries: Vec<receive::Delivery>) -> Result<(), types::Failure> {
        let deliveries = deliveries.into_iter().map(delivery).collect();
        Ok(start::<C>()?.receive(deliveries)?)
    }
}

fn delivery(delivery: receive::Delivery) -> Delivery {
    let lines = delivery.headers.into_iter();
    Delivery {
        id: delivery.id,
        headers: lines.map(|line| (line.name, line.value)).collect(),
        body: delivery.body,
    }
}

fn start<C: Connector>() -> Result<C, Failure> {
    // A trap alone says nothing; the host shows this line as the reason.
    std::panic::set_hook(Box::new(|panic| crate::log::error(&panic.to_string())));
    C::new(crate::run::parse_settings(&run::settings())?)
}

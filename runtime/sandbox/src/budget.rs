//! What a guest may use of the process's memory: one budget for all memories and tables of its component together.

use wasmtime::ResourceLimiter;

/// Elements of all tables together: 8 MiB of pointers.
const TABLE_ELEMENTS: usize = 1 << 20;

/// Core instances, and as many memories and tables; a component of a language runtime has a few dozen.
pub(crate) const INSTANCES: usize = 256;

/// The aggregate budget of a store.
#[derive(Debug)]
pub(crate) struct Budget {
    allowed: usize,
    used: usize,
    /// The growth that was allowed last, in case that it fails after all.
    pending: usize,
    elements: usize,
    exhausted: Option<String>,
}

impl Budget {
    pub(crate) fn new(memory_bytes: u64) -> Self {
        Self {
            allowed: usize::try_from(memory_bytes).unwrap_or(usize::MAX),
            used: 0,
            pending: 0,
            elements: 0,
            exhausted: None,
        }
    }

    /// Which limit was hit, if any was. A guest that was refused memory traps soon after, for a reason that says
    /// nothing.
    pub(crate) fn exhausted(&self) -> Option<&str> {
        self.exhausted.as_deref()
    }
}

impl ResourceLimiter for Budget {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current);
        if self.used.saturating_add(more) > self.allowed {
            let allowed = self.allowed >> 20;
            self.exhausted = Some(format!(
                "the connector needs more than its {allowed} MiB of memory"
            ));
            return Ok(false);
        }
        self.used += more;
        self.pending = more;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.used = self.used.saturating_sub(std::mem::take(&mut self.pending));
        Ok(())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current);
        if self.elements.saturating_add(more) > TABLE_ELEMENTS {
            self.exhausted = Some(format!(
                "the connector needs more than {TABLE_ELEMENTS} table elements"
            ));
            return Ok(false);
        }
        self.elements += more;
        Ok(true)
    }

    fn instances(&self) -> usize {
        INSTANCES
    }

    fn tables(&self) -> usize {
        INSTANCES
    }

    fn memories(&self) -> usize {
        INSTANCES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_share_one_budget() {
        let mut budget = Budget::new(3 << 20);
        assert!(budget.memory_growing(0, 1 << 20, None).unwrap());
        assert!(budget.memory_growing(0, 2 << 20, None).unwrap());
        assert!(budget.exhausted().is_none());
        assert!(!budget.memory_growing(1 << 20, 2 << 20, None).unwrap());
        assert_eq!(
            budget.exhausted(),
            Some("the connector needs more than its 3 MiB of memory")
        );
    }

    #[test]
    fn a_growth_that_fails_after_all_is_given_back() {
        let mut budget = Budget::new(1 << 20);
        assert!(budget.memory_growing(0, 1 << 20, None).unwrap());
        budget
            .memory_grow_failed(wasmtime::Error::msg("no"))
            .unwrap();
        assert!(budget.memory_growing(0, 1 << 20, None).unwrap());
    }

    #[test]
    fn tables_share_one_budget() {
        let mut budget = Budget::new(0);
        assert!(budget.table_growing(0, TABLE_ELEMENTS, None).unwrap());
        assert!(!budget.table_growing(0, 1, None).unwrap());
        assert!(budget.exhausted().is_some());
    }
}

//! A disk that forgets what was not synced when its node crashes.

use verisoo::store::{Answer, Around, Call, MemoryStore, Store, StoreError};

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Disk {
    pub written: MemoryStore,
    pub durable: MemoryStore,
}

impl Disk {
    pub fn crash(&mut self) {
        self.written = self.durable.clone();
    }
}

impl Around for Disk {
    fn inner(&mut self) -> &mut dyn Store {
        &mut self.written
    }

    fn after(&mut self, call: &Call<'_>, _: Answer<'_>) -> Result<(), StoreError> {
        if *call == Call::Sync {
            self.durable = self.written.clone();
        }
        Ok(())
    }
}

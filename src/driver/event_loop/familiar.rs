//! The connections whose last fields the loop remembers.
//!
//! Owns which connections these are: the last one in each group of slots. With all connections, an
//! idle one would take a kilobyte more. Leaves the fields to `proto::http1`.

use std::cell::Cell;

use crate::proto::http1::KnownFields;

/// The number of connections whose fields are remembered, in 256 KiB at most.
const REMEMBERED: usize = 256;

/// The fields of some connections. Slots that are equal modulo [`REMEMBERED`] share a place.
pub(super) struct Familiar(Box<[Place]>);

#[derive(Default)]
struct Place {
    slot: Cell<u32>,
    fields: KnownFields,
}

impl Familiar {
    pub(super) fn new() -> Self {
        Self((0..REMEMBERED).map(|_| Place::default()).collect())
    }

    /// The fields of the connection in this slot, which are none if another connection has had the
    /// place.
    #[inline]
    pub(super) fn fields(&self, slot: u32) -> &KnownFields {
        let place = &self.0[slot as usize % REMEMBERED];
        if place.slot.replace(slot) != slot {
            place.fields.miss();
        }
        &place.fields
    }

    /// Another connection has begun in this slot.
    pub(super) fn forget(&self, slot: u32) {
        self.0[slot as usize % REMEMBERED].fields.forget();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::ProtocolLimits;
    use crate::proto::http1::Head;

    const HEAD: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

    fn knows(familiar: &Familiar, slot: u32) -> bool {
        familiar.fields(slot).parse(HEAD, &ProtocolLimits::default()).is_some()
    }

    #[test]
    fn a_place_has_the_fields_of_one_connection() {
        let familiar = Familiar::new();
        let head = Head::parse(HEAD, &ProtocolLimits::default()).expect("a head");
        for slot in [0, 7] {
            familiar.fields(slot).remember(&head);
            assert!(knows(&familiar, slot) && !knows(&familiar, slot + 1));
            assert!(!knows(&familiar, slot + REMEMBERED as u32), "it has the same place");
            assert!(!knows(&familiar, slot), "another connection has had the place");
            familiar.fields(slot).remember(&head);
            familiar.forget(slot);
            assert!(!knows(&familiar, slot), "another connection has begun in the slot");
        }
    }

    /// To remember fields that are not asked for again costs time.
    #[test]
    fn busy_connections_that_share_a_place_stop_remembering() {
        let familiar = Familiar::new();
        let head = Head::parse(HEAD, &ProtocolLimits::default()).expect("a head");
        let slots = [1, 1 + REMEMBERED as u32];
        for _ in 0..8 {
            for slot in slots {
                assert!(!knows(&familiar, slot));
                familiar.fields(slot).remember(&head);
            }
        }
        familiar.fields(slots[0]).remember(&head);
        assert!(!knows(&familiar, slots[0]));
        familiar.forget(slots[0]);
        familiar.fields(slots[0]).remember(&head);
        assert!(knows(&familiar, slots[0]), "another connection has begun in the slot");
    }
}

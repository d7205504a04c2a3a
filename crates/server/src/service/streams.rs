//! The open streams of connected clients: who has to be woken when something is to be said, or when a session ends.
//!
//! One stream for each client: the newest. Nothing is kept here that the database does not know. A stream that is woken
//! looks there, unless it is woken by an end: hundreds that end together would only ask for what was just committed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use rollcall_core::{ClientId, EndReason};
use tokio::sync::Notify;

/// The streams that are open.
#[derive(Default)]
pub(super) struct Streams {
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    last: u64,
    by_client: HashMap<ClientId, Place>,
    by_session: HashMap<[u8; 32], ClientId>,
}

struct Place {
    number: u64,
    lineage_hash: [u8; 32],
    bell: Arc<Bell>,
}

/// What a stream waits for.
#[derive(Default)]
struct Bell {
    wake: Notify,
    ended: OnceLock<EndReason>,
}

/// One open stream; its place is free again when this is dropped.
pub(super) struct OpenStream {
    streams: Arc<Streams>,
    client: ClientId,
    number: u64,
    bell: Arc<Bell>,
}

impl Streams {
    /// Opens the stream of a client. The one that it had before closes.
    pub(super) fn open(self: &Arc<Self>, client: ClientId, lineage_hash: [u8; 32]) -> OpenStream {
        let bell = Arc::new(Bell::default());
        let mut open = self.lock();
        open.last += 1;
        let number = open.last;
        let place = Place {
            number,
            lineage_hash,
            bell: Arc::clone(&bell),
        };
        if let Some(before) = open.by_client.insert(client, place) {
            open.by_session.remove(&before.lineage_hash);
            before.bell.wake.notify_one();
        }
        open.by_session.insert(lineage_hash, client);
        metrics::gauge!("rollcall_streams_open").increment(1.0);
        OpenStream {
            streams: Arc::clone(self),
            client,
            number,
            bell,
        }
    }

    /// Something is to be said to this client.
    pub(super) fn nudge(&self, client: ClientId) {
        if let Some(place) = self.lock().by_client.get(&client) {
            place.bell.wake.notify_one();
        }
    }

    /// No session lives by this lineage any more; with why, when it has ended.
    pub(super) fn session_ended(&self, lineage_hash: &[u8; 32], reason: Option<EndReason>) {
        let open = self.lock();
        let client = open.by_session.get(lineage_hash);
        if let Some(place) = client.and_then(|client| open.by_client.get(client)) {
            if let Some(reason) = reason {
                // Whoever says it first is right: a session ends once.
                let _ = place.bell.ended.set(reason);
            }
            place.bell.wake.notify_one();
        }
    }

    /// The server stops: whoever has a stream looks at once.
    pub(super) fn wake_all(&self) {
        for place in self.lock().by_client.values() {
            place.bell.wake.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenStream {
    /// Waits until there may be something to say.
    pub(super) async fn woken(&self) {
        self.bell.wake.notified().await;
    }

    /// Why the client's session has ended, if somebody has told so.
    pub(super) fn ended(&self) -> Option<EndReason> {
        self.bell.ended.get().copied()
    }

    /// Whether the client has opened another one since.
    pub(super) fn is_replaced(&self) -> bool {
        let open = self.streams.lock();
        let place = open.by_client.get(&self.client);
        place.is_none_or(|place| place.number != self.number)
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        let mut open = self.streams.lock();
        let ours = open.by_client.get(&self.client);
        if ours.is_some_and(|place| place.number == self.number)
            && let Some(place) = open.by_client.remove(&self.client)
        {
            open.by_session.remove(&place.lineage_hash);
        }
        metrics::gauge!("rollcall_streams_open").decrement(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use uuid::Uuid;

    fn client(number: u128) -> ClientId {
        ClientId(Uuid::from_u128(number))
    }

    fn is_woken(stream: &OpenStream) -> bool {
        stream.woken().now_or_never().is_some()
    }

    #[test]
    fn whoever_has_something_to_hear_is_woken_and_nobody_else() {
        let streams = Arc::new(Streams::default());
        let (one, other) = (
            streams.open(client(1), [1; 32]),
            streams.open(client(2), [2; 32]),
        );
        streams.nudge(client(1));
        assert!(is_woken(&one) && !is_woken(&one) && !is_woken(&other));
        streams.session_ended(&[2; 32], None);
        assert!(!is_woken(&one) && is_woken(&other));
        streams.nudge(client(3));
        streams.session_ended(&[3; 32], Some(EndReason::SignedOut));
        assert!(!is_woken(&one) && !is_woken(&other));
        streams.wake_all();
        assert!(is_woken(&one) && is_woken(&other));
    }

    #[test]
    fn the_newest_stream_of_a_client_counts() {
        let streams = Arc::new(Streams::default());
        let old = streams.open(client(1), [1; 32]);
        assert!(!old.is_replaced());
        let new = streams.open(client(1), [4; 32]);
        assert!(is_woken(&old) && old.is_replaced() && !new.is_replaced());
        // The one that goes takes nothing of the newer one along.
        drop(old);
        streams.session_ended(&[1; 32], Some(EndReason::SignedOut));
        assert!(!is_woken(&new));
        streams.session_ended(&[4; 32], None);
        assert!(is_woken(&new) && !new.is_replaced() && new.ended().is_none());
        streams.session_ended(&[4; 32], Some(EndReason::SignedOut));
        streams.session_ended(&[4; 32], Some(EndReason::IdleTimeout));
        assert_eq!(new.ended(), Some(EndReason::SignedOut));
        drop(new);
        assert!(streams.lock().by_client.is_empty() && streams.lock().by_session.is_empty());
    }
}

//! One-time passwords and API keys on their way to the page that shows them: a form that is sent without scripts is
//! answered by a redirect, which cannot carry a secret. Kept in memory only, for the session that made them.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rollcall_core::{SessionId, Timestamp};
use uuid::Uuid;
use zeroize::Zeroizing;

/// Whoever has not looked by then makes another one.
const KEPT: Duration = Duration::from_secs(5 * 60);

struct Waiting {
    /// Whose password, or which key.
    about: Uuid,
    secret: Zeroizing<String>,
    until: Timestamp,
}

/// At most one secret for each session.
#[derive(Default)]
pub(super) struct Handover {
    waiting: Mutex<HashMap<SessionId, Waiting>>,
}

impl Handover {
    /// Keeps a secret for the next page of this session.
    pub(super) fn keep(&self, by: SessionId, about: Uuid, secret: &str, now: Timestamp) {
        let mut waiting = self.lock();
        waiting.retain(|_, one| one.until > now);
        let secret = Zeroizing::new(secret.to_owned());
        let until = now + KEPT;
        waiting.insert(
            by,
            Waiting {
                about,
                secret,
                until,
            },
        );
    }

    /// The secret that this session has made for this user, or as this key, if nobody has seen it yet.
    pub(super) fn take(
        &self,
        by: SessionId,
        about: Uuid,
        now: Timestamp,
    ) -> Option<Zeroizing<String>> {
        let mut waiting = self.lock();
        waiting.get(&by).filter(|one| one.about == about)?;
        let one = waiting.remove(&by)?;
        (one.until > now).then_some(one.secret)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_handed_over_once_to_the_session_that_made_it() {
        let handover = Handover::default();
        let session = |number| SessionId(Uuid::from_u128(number));
        let user = Uuid::from_u128;
        let now = Timestamp(0);
        let take = |by, of, at| {
            handover
                .take(session(by), user(of), at)
                .map(|text| text.to_string())
        };
        handover.keep(session(1), user(1), "one", now);
        assert_eq!(take(2, 1, now), None);
        assert_eq!(take(1, 2, now), None);
        assert_eq!(take(1, 1, now), Some("one".to_owned()));
        assert_eq!(take(1, 1, now), None);
        handover.keep(session(1), user(1), "two", now);
        assert_eq!(take(1, 1, now + KEPT), None);
    }
}

//! One-time passwords on their way to the page that shows them: a form that is sent without scripts is
//! answered by a redirect, which cannot carry a secret. Kept in memory only, for the session that made them.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rollcall_core::{SessionId, Timestamp, UserId};
use zeroize::Zeroizing;

/// Whoever has not looked by then makes another one.
const KEPT: Duration = Duration::from_secs(5 * 60);

struct Waiting {
    user: UserId,
    password: Zeroizing<String>,
    until: Timestamp,
}

/// At most one password for each session.
#[derive(Default)]
pub(super) struct Handover {
    waiting: Mutex<HashMap<SessionId, Waiting>>,
}

impl Handover {
    /// Keeps a password for the next page of this session.
    pub(super) fn keep(&self, by: SessionId, user: UserId, password: &str, now: Timestamp) {
        let mut waiting = self.lock();
        waiting.retain(|_, one| one.until > now);
        let password = Zeroizing::new(password.to_owned());
        let until = now + KEPT;
        waiting.insert(
            by,
            Waiting {
                user,
                password,
                until,
            },
        );
    }

    /// The password that this session has made for this user, if nobody has seen it yet.
    pub(super) fn take(
        &self,
        by: SessionId,
        user: UserId,
        now: Timestamp,
    ) -> Option<Zeroizing<String>> {
        let mut waiting = self.lock();
        waiting.get(&by).filter(|one| one.user == user)?;
        let one = waiting.remove(&by)?;
        (one.until > now).then_some(one.password)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_password_is_handed_over_once_to_the_session_that_made_it() {
        let handover = Handover::default();
        let session = |number| SessionId(Uuid::from_u128(number));
        let user = |number| UserId(Uuid::from_u128(number));
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

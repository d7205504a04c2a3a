//! How long to wait before asking a server again that did not answer.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(10);

/// Waits that grow, each by chance up to as long as it may be: thousands of agents that lost a server together come back
/// one by one.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    tries: u32,
}

impl Backoff {
    /// The next wait.
    pub(crate) fn next(&mut self) -> Duration {
        let most = FIRST
            .saturating_mul(2_u32.saturating_pow(self.tries))
            .min(LONGEST);
        self.tries = self.tries.saturating_add(1);
        FIRST.min(most).max(most.mul_f64(fastrand::f64()))
    }

    /// The server has answered.
    pub(crate) fn reset(&mut self) {
        self.tries = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_ten_seconds_and_begin_anew() {
        let mut backoff = Backoff::default();
        for tries in 0..40_u32 {
            let wait = backoff.next();
            let most = FIRST
                .saturating_mul(2_u32.saturating_pow(tries))
                .min(LONGEST);
            assert!(
                FIRST <= wait && wait <= most,
                "{wait:?} after {tries} tries"
            );
        }
        backoff.reset();
        assert_eq!(backoff.next(), FIRST);
    }
}

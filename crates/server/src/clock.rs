//! Time and randomness, passed in as arguments. The only file that asks the operating system for
//! either.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rand::TryRng;
use rand::rngs::SysRng;
use rollcall_core::Timestamp;
use uuid::Uuid;

/// Tells the time.
pub trait Clock: Send + Sync + 'static {
    /// Now. Never earlier than an earlier answer of the same clock.
    fn now(&self) -> Timestamp;
}

/// Gives randomness fit for secrets.
pub trait Random: Send + Sync + 'static {
    /// Fills `bytes` from a cryptographically secure source.
    fn fill(&self, bytes: &mut [u8]);
}

/// A time-ordered id (UUIDv7, RFC 9562) for that moment.
pub fn uuid_v7(random: &dyn Random, at: Timestamp) -> Uuid {
    let mut bytes = [0; 10];
    random.fill(&mut bytes);
    let milliseconds = u64::try_from(at.0 / 1_000).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(milliseconds, &bytes).into_uuid()
}

/// The operating system's clock, which never goes back within the process.
///
/// When the operating system's does, this one goes on at the pace of a stopwatch: times between two moments
/// (timeouts, locks, the grace after a rotation) stay right, and what has expired stays expired. It is right
/// again, as a time of day, after a restart.
#[derive(Debug)]
pub struct SystemClock {
    stopwatch: Instant,
    /// When the stopwatch was started, in microseconds since 1970: the latest that was ever seen.
    started: AtomicI64,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self {
            stopwatch: Instant::now(),
            started: AtomicI64::new(i64::MIN),
        }
    }
}

impl SystemClock {
    fn tell(&self, time_of_day: i64, running: i64) -> Timestamp {
        let started = time_of_day.saturating_sub(running);
        let latest = self
            .started
            .fetch_max(started, Ordering::Relaxed)
            .max(started);
        Timestamp(latest.saturating_add(running))
    }
}

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the clock"
    )]
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        // Second, so that a pause in between makes `started` too early and never too late.
        let running = self.stopwatch.elapsed();
        self.tell(micros(since_epoch), micros(running))
    }
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

/// A clock that stands still until it is moved; for tests.
#[derive(Debug)]
pub struct ManualClock {
    now: AtomicI64,
}

impl ManualClock {
    /// A clock that shows `now`.
    pub fn at(now: Timestamp) -> Self {
        Self {
            now: AtomicI64::new(now.0),
        }
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        self.now.fetch_add(micros(by), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.now.load(Ordering::SeqCst))
    }
}

/// The operating system's random source.
#[derive(Debug, Default, Clone, Copy)]
pub struct OsRandom;

impl Random for OsRandom {
    fn fill(&self, bytes: &mut [u8]) {
        // Without randomness there are no tokens, and a server that went on would hand out weak ones.
        SysRng
            .try_fill_bytes(bytes)
            .expect("the operating system has a random source");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000;

    #[test]
    fn a_clock_that_is_set_back_goes_on_at_its_pace() {
        let clock = SystemClock::default();
        assert_eq!(clock.tell(10 * HOUR, 0), Timestamp(10 * HOUR));
        assert_eq!(clock.tell(11 * HOUR, HOUR), Timestamp(11 * HOUR));
        // An hour back: the stopwatch counts, and the time of day catches up.
        assert_eq!(
            clock.tell(10 * HOUR + 5, HOUR + 5),
            Timestamp(11 * HOUR + 5)
        );
        assert_eq!(clock.tell(12 * HOUR, 3 * HOUR), Timestamp(13 * HOUR));
        assert_eq!(clock.tell(14 * HOUR, 3 * HOUR), Timestamp(14 * HOUR));
    }

    #[test]
    fn a_clock_that_is_set_forward_is_followed() {
        let clock = SystemClock::default();
        assert_eq!(clock.tell(HOUR, 0), Timestamp(HOUR));
        assert_eq!(clock.tell(100 * HOUR, 1), Timestamp(100 * HOUR));
        assert_eq!(clock.tell(2 * HOUR, 2), Timestamp(100 * HOUR + 1));
    }
}

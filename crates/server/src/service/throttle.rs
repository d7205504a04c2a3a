//! Limits on attempts: per address over time, per account one after another.
//!
//! Both live in memory and are bounded: a flood of new names or addresses pushes out the oldest ones,
//! never the server. What must survive a restart, the tries of an account, is in the database.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rollcall_core::Timestamp;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use super::facts::network_of;

const MOST_ADDRESSES: usize = 100_000;
const MOST_WAITING: usize = 10;

/// Counts failed sign-ins per address (IPv6: its /64) in a sliding window.
#[derive(Debug)]
pub struct AddressThrottle {
    most_failures: AtomicUsize,
    window: Duration,
    failures: Mutex<HashMap<IpAddr, Failures>>,
}

#[derive(Debug, Default)]
struct Failures {
    times: VecDeque<Timestamp>,
    // Whether the address was refused since it last had an attempt left.
    refused: bool,
}

/// The address has failed too often.
#[derive(Clone, Copy, Debug)]
pub struct Throttled {
    /// Seconds until the next attempt is looked at.
    pub retry_after_seconds: u32,
    /// True for the first refusal of a row: one event in the audit trail, not one for each.
    pub first: bool,
}

impl AddressThrottle {
    /// Lets `most_failures` attempts fail within `window`.
    pub fn new(most_failures: usize, window: Duration) -> Self {
        Self {
            most_failures: AtomicUsize::new(most_failures),
            window,
            failures: Mutex::default(),
        }
    }

    /// Lets another number of attempts fail from now on.
    pub fn set_limit(&self, most_failures: u32) {
        let most = usize::try_from(most_failures).unwrap_or(usize::MAX);
        self.most_failures.store(most, Ordering::Relaxed);
    }

    fn most_failures(&self) -> usize {
        self.most_failures.load(Ordering::Relaxed)
    }

    /// Takes one attempt, counted as failed until `succeeded` gives it back; so parallel attempts
    /// cannot slip past the limit.
    pub fn take(&self, ip: IpAddr, now: Timestamp) -> Result<(), Throttled> {
        let mut failures = self.lock();
        if failures.len() >= MOST_ADDRESSES {
            self.make_room(&mut failures, now);
        }
        let entry = failures.entry(network_of(ip)).or_default();
        while entry
            .times
            .front()
            .is_some_and(|first| *first + self.window <= now)
        {
            entry.times.pop_front();
        }
        // Where the limit was lowered, more than the oldest has to age.
        let freeing = entry.times.len().checked_sub(self.most_failures());
        match freeing.and_then(|number| entry.times.get(number)) {
            Some(freeing) => {
                let wait = (*freeing + self.window).seconds_since(now) + 1;
                Err(Throttled {
                    retry_after_seconds: u32::try_from(wait).unwrap_or(u32::MAX),
                    first: !std::mem::replace(&mut entry.refused, true),
                })
            }
            _ => {
                entry.times.push_back(now);
                entry.refused = false;
                Ok(())
            }
        }
    }

    /// Gives an attempt back: it did not fail.
    pub fn succeeded(&self, ip: IpAddr, taken_at: Timestamp) {
        let mut failures = self.lock();
        let network = network_of(ip);
        if let Some(entry) = failures.get_mut(&network) {
            if let Some(index) = entry.times.iter().rposition(|time| *time == taken_at) {
                entry.times.remove(index);
            }
            if entry.times.is_empty() {
                failures.remove(&network);
            }
        }
    }

    /// The networks that are refused now, and until when; the last to be free again first.
    pub fn throttled(&self, now: Timestamp) -> Vec<(IpAddr, Timestamp)> {
        let mut throttled: Vec<_> = self
            .lock()
            .iter()
            .filter_map(|(network, entry)| {
                let left = |time: &&Timestamp| **time + self.window > now;
                let count = entry.times.iter().filter(left).count();
                let number = count.checked_sub(self.most_failures())?;
                let freeing = entry.times.iter().filter(left).nth(number)?;
                Some((*network, *freeing + self.window))
            })
            .collect();
        throttled.sort_unstable_by_key(|(network, until)| (std::cmp::Reverse(*until), *network));
        throttled
    }

    /// Gives an address all its attempts back. False if it had them.
    pub fn release(&self, ip: IpAddr) -> bool {
        self.lock().remove(&network_of(ip)).is_some()
    }

    // What has expired goes first, then the addresses that have been quiet for longest, many at once, so
    // that a flood of addresses does not make every attempt look through all of them.
    fn make_room(&self, failures: &mut HashMap<IpAddr, Failures>, now: Timestamp) {
        failures.retain(|_, entry| {
            entry
                .times
                .back()
                .is_some_and(|last| *last + self.window > now)
        });
        if failures.len() < MOST_ADDRESSES {
            return;
        }
        let mut lasts: Vec<_> = failures
            .values()
            .filter_map(|entry| entry.times.back().copied())
            .collect();
        let (_, keep_from, _) = lasts.select_nth_unstable(MOST_ADDRESSES / 10);
        let keep_from = *keep_from;
        failures.retain(|_, entry| entry.times.back().is_some_and(|last| *last > keep_from));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<IpAddr, Failures>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets the attempts on one account run one after another; at most ten wait.
#[derive(Debug)]
pub struct Turns<K> {
    queues: Mutex<HashMap<K, Queue>>,
}

#[derive(Debug, Default)]
struct Queue {
    lock: Arc<AsyncMutex<()>>,
    // The one whose turn it is, and those who wait.
    people: usize,
}

/// A turn; the next one begins when it is dropped.
#[derive(Debug)]
pub struct Turn<'a, K: Hash + Eq> {
    turns: &'a Turns<K>,
    key: K,
    guard: Option<OwnedMutexGuard<()>>,
}

impl<K> Default for Turns<K> {
    fn default() -> Self {
        Self {
            queues: Mutex::default(),
        }
    }
}

impl<K: Hash + Eq + Clone> Turns<K> {
    /// Waits for the turn of `key`. `None` if ten are waiting already.
    pub async fn wait(&self, key: K) -> Option<Turn<'_, K>> {
        let lock = {
            let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
            let queue = queues.entry(key.clone()).or_default();
            if queue.people > MOST_WAITING {
                return None;
            }
            queue.people += 1;
            Arc::clone(&queue.lock)
        };
        // Made before waiting: one who gives up while waiting leaves the queue too.
        let mut turn = Turn {
            turns: self,
            key,
            guard: None,
        };
        turn.guard = Some(lock.lock_owned().await);
        Some(turn)
    }
}

impl<K: Hash + Eq> Drop for Turn<'_, K> {
    fn drop(&mut self) {
        self.guard = None;
        let mut queues = self
            .turns
            .queues
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = queues.get_mut(&self.key) {
            queue.people -= 1;
            if queue.people == 0 {
                queues.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn an_address_may_fail_so_often_in_the_window() {
        let throttle = AddressThrottle::new(2, Duration::from_secs(300));
        assert!(throttle.take(HERE, at(0)).is_ok());
        assert!(throttle.take(HERE, at(10)).is_ok());
        let refused = throttle.take(HERE, at(20)).unwrap_err();
        assert_eq!((refused.retry_after_seconds, refused.first), (281, true));
        assert!(!throttle.take(HERE, at(21)).unwrap_err().first);
        assert!(throttle.take(HERE, at(300)).is_ok());
        throttle.succeeded(HERE, at(300));
        assert!(throttle.take(HERE, at(301)).is_ok());
    }

    #[test]
    fn under_a_lower_limit_more_than_the_oldest_failure_has_to_age() {
        let throttle = AddressThrottle::new(3, Duration::from_secs(300));
        for seconds in [0, 100, 200] {
            throttle.take(HERE, at(seconds)).unwrap();
        }
        throttle.set_limit(1);
        let refused = throttle.take(HERE, at(210)).unwrap_err();
        assert_eq!(refused.retry_after_seconds, 291);
        assert_eq!(throttle.throttled(at(210)), [(HERE, at(500))]);
        assert!(throttle.take(HERE, at(499)).is_err());
        assert!(throttle.take(HERE, at(501)).is_ok());
    }

    #[test]
    fn an_ipv6_network_counts_as_one() {
        let throttle = AddressThrottle::new(1, Duration::from_secs(300));
        assert!(throttle.take("2001:db8::1".parse().unwrap(), at(0)).is_ok());
        assert!(
            throttle
                .take("2001:db8::2".parse().unwrap(), at(0))
                .is_err()
        );
        assert!(
            throttle
                .take("2001:db8:0:1::2".parse().unwrap(), at(0))
                .is_ok()
        );
    }

    #[tokio::test]
    async fn ten_wait_and_the_next_is_sent_away() {
        let turns = Arc::new(Turns::<u8>::default());
        let first = turns.wait(1).await.unwrap();
        let mut waiting = Vec::new();
        for _ in 0..MOST_WAITING {
            let mut next = Box::pin(turns.wait(1));
            assert!(futures_util::poll!(&mut next).is_pending());
            waiting.push(next);
        }
        assert!(turns.wait(1).await.is_none());
        assert!(turns.wait(2).await.is_some());
        drop(first);
        for next in waiting {
            assert!(next.await.is_some());
        }
        assert!(turns.queues.lock().unwrap().is_empty());
    }
}

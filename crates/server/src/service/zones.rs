//! Time zones as tables of offsets, so that server and browser render every time the same.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Offset, TimeZone};
use chrono_tz::Tz;
use rollcall_core::{Timestamp, Zone};

const YEAR: Duration = Duration::from_secs(366 * 86_400);
const BACK: u32 = 3;
const AHEAD: u32 = 2;
// Half a day: no zone changes its offset twice within it.
const STEP: i64 = 43_200;

/// The tables made so far; each is good for weeks.
#[derive(Debug, Default)]
pub struct Zones {
    made: Mutex<HashMap<Tz, (Timestamp, Zone)>>,
}

impl Zones {
    /// The table of a zone for the years around `now`.
    pub fn table(&self, tz: Tz, now: Timestamp) -> Zone {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        match made.get(&tz) {
            Some((at, zone)) if now.micros_since(*at) < 30 * 86_400_000_000 => zone.clone(),
            _ => {
                let zone = make(tz, now);
                made.insert(tz, (now, zone.clone()));
                zone
            }
        }
    }
}

/// The zone with this IANA name. Only names as they are written there.
pub fn parse(name: &str) -> Option<Tz> {
    name.parse().ok()
}

/// The names that people can choose from.
pub fn names() -> Vec<&'static str> {
    chrono_tz::TZ_VARIANTS
        .iter()
        .map(|zone| zone.name())
        .filter(|name| {
            *name == "UTC"
                || (name.contains('/') && !name.starts_with("Etc/") && !name.starts_with("US/"))
        })
        .collect()
}

fn make(tz: Tz, now: Timestamp) -> Zone {
    let (from, to) = (
        (now - YEAR * BACK).seconds(),
        (now + YEAR * AHEAD).seconds(),
    );
    let first_offset = offset(tz, from);
    let mut transitions = Vec::new();
    let (mut at, mut current) = (from, first_offset);
    while at < to {
        let next = at + STEP;
        let after = offset(tz, next);
        if after != current {
            // The first second with the new offset lies in (at, next].
            let (mut before, mut since) = (at, next);
            while since - before > 1 {
                let middle = before + (since - before) / 2;
                if offset(tz, middle) == current {
                    before = middle
                } else {
                    since = middle
                }
            }
            transitions.push((since, after));
            current = after;
        }
        at = next;
    }
    Zone {
        name: tz.name().to_owned(),
        first_offset,
        transitions,
    }
}

fn offset(tz: Tz, seconds: i64) -> i32 {
    DateTime::from_timestamp(seconds, 0).map_or(0, |utc| {
        tz.offset_from_utc_datetime(&utc.naive_utc())
            .fix()
            .local_minus_utc()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summer_time_begins_and_ends_in_the_table() {
        let now = Timestamp::parse_rfc3339("2026-11-22T09:45:02Z").unwrap();
        let berlin = Zones::default().table(Tz::Europe__Berlin, now);
        let local = |text: &str| {
            berlin
                .civil(Timestamp::parse_rfc3339(text).unwrap())
                .to_string()
        };
        assert_eq!(local("2026-11-22T09:45:02Z"), "2026-11-22 10:45:02");
        assert_eq!(local("2026-10-25T00:59:59Z"), "2026-10-25 02:59:59");
        assert_eq!(local("2026-10-25T01:00:00Z"), "2026-10-25 02:00:00");
        assert_eq!(local("2026-07-01T12:00:00Z"), "2026-07-01 14:00:00");
        assert_eq!(berlin.transitions.len(), 10);
    }

    #[test]
    fn a_zone_without_summer_time_has_no_transitions() {
        let zone = Zones::default().table(Tz::UTC, Timestamp(1_800_000_000_000_000));
        assert_eq!(zone, Zone::utc());
    }
}

//! The time zone of a page, as a table of offsets, so that server and browser render every time the
//! same without a zone database in the browser.

use serde::{Deserialize, Serialize};

use crate::time::{Civil, Timestamp};

/// A time zone: its IANA name and the offsets that it has in the years a page can show.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Zone {
    /// The IANA name, such as `Europe/Berlin`; shown beside "as of".
    pub name: String,
    /// The offset east of UTC, in seconds, before the first transition.
    pub first_offset: i32,
    /// Each change: from this second (since the epoch) on, this offset. In order of time.
    pub transitions: Vec<(i64, i32)>,
}

impl Default for Zone {
    fn default() -> Self {
        Self::utc()
    }
}

impl Zone {
    /// Coordinated Universal Time.
    pub fn utc() -> Self {
        Self {
            name: "UTC".to_owned(),
            first_offset: 0,
            transitions: Vec::new(),
        }
    }

    /// The offset east of UTC at that moment, in seconds.
    pub fn offset_at(&self, at: Timestamp) -> i32 {
        let after = self
            .transitions
            .partition_point(|(from, _)| *from <= at.seconds());
        match after.checked_sub(1) {
            Some(index) => self.transitions[index].1,
            None => self.first_offset,
        }
    }

    /// Date and time of day in this zone; displays as `YYYY-MM-DD HH:mm:ss`.
    pub fn civil(&self, at: Timestamp) -> Civil {
        at.civil(self.offset_at(at))
    }

    /// Time of day alone, `HH:mm:ss`.
    pub fn time_of_day(&self, at: Timestamp) -> String {
        let civil = self.civil(at);
        format!("{:02}:{:02}:{:02}", civil.hour, civil.minute, civil.second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_changes_at_its_transition() {
        let zone = Zone {
            name: "Test".into(),
            first_offset: 0,
            transitions: vec![(100, 3600), (200, 0)],
        };
        assert_eq!(zone.offset_at(Timestamp::from_seconds(99)), 0);
        assert_eq!(zone.offset_at(Timestamp::from_seconds(100)), 3600);
        assert_eq!(zone.offset_at(Timestamp::from_seconds(200)), 0);
        assert_eq!(
            zone.civil(Timestamp::from_seconds(150)).to_string(),
            "1970-01-01 01:02:30"
        );
    }
}

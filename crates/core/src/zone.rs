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

    /// The moment that a local date and time names, as `<input type="datetime-local">` writes it:
    /// `2026-11-22T09:00`, with seconds or without. A time that occurs twice, when clocks go back, is the first of
    /// the two; one that is left out, when they go forward, is as much later as is left out.
    pub fn parse_local(&self, text: &str) -> Option<Timestamp> {
        let seconds = if text.len() == 16 { ":00" } else { "" };
        let as_if = Timestamp::parse_rfc3339(&[text, seconds, "Z"].concat())?;
        let at = |offset: i32| Timestamp(as_if.0 - i64::from(offset) * 1_000_000);
        // The offsets of a day before and a day after are all that can be in force.
        let before = self.offset_at(Timestamp(as_if.0 - 86_400_000_000));
        let after = self.offset_at(Timestamp(as_if.0 + 86_400_000_000));
        let found = [before, after]
            .into_iter()
            .find(|offset| self.offset_at(at(*offset)) == *offset);
        Some(at(found.unwrap_or(before)))
    }

    /// A moment as `<input type="datetime-local">` wants it, to the second.
    pub fn local(&self, at: Timestamp) -> String {
        self.civil(at).to_string().replace(' ', "T")
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

    #[test]
    fn a_local_time_names_a_moment() {
        // Clocks go from 02:00 to 03:00 on the second day and back on the fourth.
        let day = 86_400;
        let zone = Zone {
            name: "Test".into(),
            first_offset: 3_600,
            transitions: vec![(day + 3_600, 7_200), (3 * day + 3_600, 3_600)],
        };
        for (text, seconds) in [
            ("1970-01-01T12:00", 11 * 3_600),
            ("1970-01-03T12:00:07", 2 * day + 10 * 3_600 + 7),
            // Left out: half an hour after two is half an hour after three.
            ("1970-01-02T02:30", day + 5_400),
            // Twice: the first of the two.
            ("1970-01-04T02:30", 3 * day + 1_800),
        ] {
            let at = zone.parse_local(text).unwrap();
            assert_eq!(at, Timestamp::from_seconds(seconds), "{text}");
        }
        let noon = Timestamp::from_seconds(2 * day + 10 * 3_600);
        assert_eq!(zone.local(noon), "1970-01-03T12:00:00");
        assert_eq!(zone.parse_local(&zone.local(noon)), Some(noon));
        for text in [
            "",
            "noon",
            "1970-01-03",
            "1970-01-03T12:00Z",
            "1970-01-03T12:00:00+01:00",
        ] {
            assert_eq!(zone.parse_local(text), None, "{text}");
        }
    }

    #[test]
    fn a_time_of_day_stands_alone() {
        let at = Timestamp::from_seconds(86_400 + 5 * 3_600 + 7 * 60 + 9);
        assert_eq!(Zone::utc().time_of_day(at), "05:07:09");
        assert_eq!(Zone::utc().name, "UTC");
        // A day after the offset of a minute has changed it is the new one.
        let zone = Zone {
            name: "Test".into(),
            first_offset: 0,
            transitions: vec![(86_400, 3_600)],
        };
        let at = zone.parse_local("1970-01-02T01:30").unwrap();
        assert_eq!(at, Timestamp::from_seconds(86_400 + 1_800));
    }
}

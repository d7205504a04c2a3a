//! Times and durations in words, the same on the server and in the browser.

use crate::time::Timestamp;

/// How long ago, as people say it: "just now", "5 minutes ago", "2 days ago".
pub fn ago(at: Timestamp, now: Timestamp) -> String {
    let seconds = now.seconds_since(at);
    match seconds {
        0..5 => "just now".to_owned(),
        5..60 => format!("{seconds} seconds ago"),
        60..3_600 => count(seconds / 60, "minute", " ago"),
        3_600..86_400 => count(seconds / 3_600, "hour", " ago"),
        86_400..2_592_000 => count(seconds / 86_400, "day", " ago"),
        2_592_000..31_536_000 => count(seconds / 2_592_000, "month", " ago"),
        _ => count(seconds / 31_536_000, "year", " ago"),
    }
}

/// A duration in whole minutes, as the table shows it: "64 min".
pub fn minutes(seconds: i64) -> String {
    format!("{} min", grouped(seconds.max(0) / 60))
}

/// A duration to the second: "1 h 4 min 12 s", "2 d 3 h 0 min 5 s".
pub fn exactly(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (days, hours) = (seconds / 86_400, seconds / 3_600 % 24);
    let (minutes, rest) = (seconds / 60 % 60, seconds % 60);
    if days > 0 {
        format!("{days} d {hours} h {minutes} min {rest} s")
    } else if hours > 0 {
        format!("{hours} h {minutes} min {rest} s")
    } else if minutes > 0 {
        format!("{minutes} min {rest} s")
    } else {
        format!("{rest} s")
    }
}

/// A duration in words, to the second: "53 seconds", "30 minutes, 0 seconds".
pub fn to_the_second(seconds: i64) -> String {
    let mut rest = seconds.max(0);
    let mut text = String::new();
    for (unit, length) in [
        ("day", 86_400),
        ("hour", 3_600),
        ("minute", 60),
        ("second", 1),
    ] {
        let number = rest / length;
        if number > 0 || !text.is_empty() || length == 1 {
            let joint = if length == 1 { "" } else { ", " };
            text += &count(number, unit, joint);
        }
        rest %= length;
    }
    text
}

/// A timeout in words: "30 minutes", "1 day", "90 seconds".
pub fn span(seconds: i64) -> String {
    match seconds {
        s if s > 0 && s % 86_400 == 0 => count(s / 86_400, "day", ""),
        s if s > 0 && s % 3_600 == 0 => count(s / 3_600, "hour", ""),
        s if s > 0 && s % 60 == 0 => count(s / 60, "minute", ""),
        s => count(s, "second", ""),
    }
}

/// A whole number with thousands separated: "1,234,567".
pub fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    if number < 0 {
        text.push('-');
    }
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn count(number: i64, unit: &str, after: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {unit}{plural}{after}", grouped(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_what_people_say() {
        let now = Timestamp::from_seconds(100_000_000);
        let at = |seconds: i64| ago(Timestamp::from_seconds(100_000_000 - seconds), now);
        assert_eq!(at(-10), "just now");
        assert_eq!(at(4), "just now");
        assert_eq!(at(59), "59 seconds ago");
        assert_eq!(at(60), "1 minute ago");
        assert_eq!(at(300), "5 minutes ago");
        assert_eq!(at(7_200), "2 hours ago");
        assert_eq!(at(86_400), "1 day ago");
        assert_eq!(at(40_000_000), "1 year ago");
        assert_eq!(minutes(64 * 60 + 12), "64 min");
        assert_eq!(exactly(64 * 60 + 12), "1 h 4 min 12 s");
        assert_eq!(exactly(86_400 * 2 + 5), "2 d 0 h 0 min 5 s");
        assert_eq!(span(1_800), "30 minutes");
        assert_eq!(to_the_second(53), "53 seconds");
        assert_eq!(to_the_second(1_800), "30 minutes, 0 seconds");
        assert_eq!(to_the_second(3_661), "1 hour, 1 minute, 1 second");
        assert_eq!(
            to_the_second(86_405),
            "1 day, 0 hours, 0 minutes, 5 seconds"
        );
        assert_eq!(to_the_second(-1), "0 seconds");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(grouped(-999), "-999");
    }
}

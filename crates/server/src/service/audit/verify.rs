//! Checking the whole trail: numbers without a gap, the chain of HMACs, and its end.
//!
//! Reads only, in batches that each are of one moment, so it works beside a running server and on a trail
//! of any length. Source: ASVS 16.4.2; OWASP Logging Cheat Sheet "tamper detection".

use std::fmt;
use std::path::Path;

use rollcall_core::Timestamp;
use sea_orm::DatabaseConnection;

use super::{Head, chain, files};
use crate::db::DbError;
use crate::db::audit::AuditRecord;
use crate::db::audit_check::{self, Batch, FoundEvent};

/// Rows that are held in memory at once.
const BATCH: u64 = 2_000;

/// A trail in which nothing is wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Whole {
    /// How many events it has.
    pub events: i64,
    /// When the newest one happened; `None` where there is none.
    pub last_at: Option<Timestamp>,
}

impl fmt::Display for Whole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.last_at {
            None => f.write_str("The audit trail is whole: it has no events yet."),
            Some(at) => write!(
                f,
                "The audit trail is whole: {} event{}, the last at {at}.",
                self.events,
                if self.events == 1 { "" } else { "s" }
            ),
        }
    }
}

/// The first thing that is wrong with a trail, or why it cannot be told.
#[derive(Debug)]
pub enum Finding {
    /// A row does not fit its HMAC, though its successor fits it: its content was changed.
    Changed(i64),
    /// The HMAC of a row was changed, and nothing else of it.
    HmacChanged(i64),
    /// A row holds, in this column, what no server writes.
    Unreadable(i64, &'static str),
    /// The row after the one with this number has a number that is none.
    Numberless(i64),
    /// The number does not occur.
    Missing {
        /// The number.
        sequence: i64,
        /// The next one that does occur.
        next: i64,
    },
    /// A row stands where another belongs.
    Moved {
        /// Whose place it is.
        sequence: i64,
        /// Where the row that belongs there stands.
        stands_at: i64,
    },
    /// From this row on nothing fits the key.
    NothingFits(i64),
    /// A row fits neither its HMAC nor what follows.
    Unfitting(i64),
    /// The trail ends with `last`, but `noted` was written once.
    CutTail {
        /// The number of the last event that is there.
        last: i64,
        /// The number that the database or the data folder holds as the end.
        noted: i64,
    },
    /// The row with this number is not the one that was noted as the end: the tail was cut there, and the
    /// trail went on.
    Regrown(i64),
    /// The end that the database holds is not that of the last row, whose number this is.
    StoredEnd(i64),
    /// The files in the data folder do not allow a check; with the reason.
    Folder(String),
    /// The database did not answer.
    Database(DbError),
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed(number) => write!(
                f,
                "event {number} was changed: its content does not fit its HMAC"
            ),
            Self::HmacChanged(number) => write!(f, "the HMAC of event {number} was changed"),
            Self::Unreadable(number, column) => write!(
                f,
                "event {number} was changed: its column {column} holds what no server writes"
            ),
            Self::Numberless(number) => write!(
                f,
                "the row after event {number} was changed: its column sequence holds no number"
            ),
            Self::Missing { sequence, next } => write!(
                f,
                "event {sequence} is missing: the next row that is there is {next}"
            ),
            Self::Moved {
                sequence,
                stands_at,
            } => write!(
                f,
                "event {sequence} stands in row {stands_at}: rows were put in another order"
            ),
            Self::NothingFits(1) => f.write_str(
                "no event fits audit.key: this is not the key that the trail was written with, or event 1 and all after it were changed",
            ),
            Self::NothingFits(number) => write!(
                f,
                "event {number} and all after it do not fit audit.key: the key was replaced there, or they were written by somebody without it"
            ),
            Self::Unfitting(number) => write!(
                f,
                "event {number} does not fit its HMAC: it was changed, or written by somebody without the key"
            ),
            Self::CutTail { last, noted } => write!(
                f,
                "event {} is missing: the tail was cut; the trail ends with event {last}, and event {noted} was noted as its end",
                last + 1
            ),
            Self::Regrown(number) => write!(
                f,
                "event {number} is not the one that was noted as the end: the tail was cut there, and the trail went on"
            ),
            Self::StoredEnd(number) => write!(
                f,
                "the last row is event {number}, but table audit_head holds another end: one of them was changed"
            ),
            Self::Folder(words) => f.write_str(words),
            Self::Database(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Finding {}

impl From<DbError> for Finding {
    fn from(error: DbError) -> Self {
        Self::Database(error)
    }
}

/// Checks the trail in the database against the key and the notes in the data folder. A note that is
/// older than the end is fine: it follows the trail by up to a second.
///
/// # Errors
/// The first thing that is wrong.
pub async fn verify(folder: &Path, connection: &DatabaseConnection) -> Result<Whole, Finding> {
    // Before the first row: what was noted must be in the trail that is read after it.
    let notes = read_notes(folder)?;
    let key = files::read_key(folder)
        .map_err(|error| Finding::Folder(format!("{error:#}")))?
        .ok_or_else(|| {
            Finding::Folder(format!(
                "there is no {} in {}: without it nothing can be checked",
                files::KEY,
                folder.display()
            ))
        })?;
    let mut rows = Rows::new(connection);
    let mut end: Head = (0, [0; 32]);
    let mut last_at = None;
    while let Some(event) = rows.next().await? {
        let number = end.0 + 1;
        if event.sequence > number {
            return Err(Finding::Missing {
                sequence: number,
                next: event.sequence,
            });
        }
        if event.sequence < number {
            // Numbers begin with 1.
            return Err(Finding::Unfitting(event.sequence));
        }
        let (record, hmac) = event
            .content
            .map_err(|column| Finding::Unreadable(number, column))?;
        let expected = chain(&key, &end.1, number, &record);
        if expected != hmac {
            return Err(explain(&key, end, (expected, hmac), &mut rows).await?);
        }
        end = (number, hmac);
        last_at = Some(record.at);
        if notes
            .iter()
            .any(|noted| noted.0 == number && noted.1 != hmac)
        {
            return Err(Finding::Regrown(number));
        }
    }
    compare_ends(folder, end, rows.stored_end, &notes)?;
    Ok(Whole {
        events: end.0,
        last_at,
    })
}

fn compare_ends(
    folder: &Path,
    end: Head,
    stored: Option<Head>,
    notes: &[Head],
) -> Result<(), Finding> {
    let Some(stored) = stored else {
        return Err(Finding::StoredEnd(end.0));
    };
    if let Some(noted) = notes
        .iter()
        .chain([&stored])
        .map(|noted| noted.0)
        .max()
        .filter(|noted| *noted > end.0)
    {
        return Err(Finding::CutTail { last: end.0, noted });
    }
    if stored != end {
        return Err(Finding::StoredEnd(end.0));
    }
    if notes.is_empty() && end.0 > 0 {
        return Err(Finding::Folder(format!(
            "there is no {} in {}: the {} events that are there fit each other, but whether later ones were cut off cannot be told",
            files::HEAD,
            folder.display(),
            end.0
        )));
    }
    Ok(())
}

fn read_notes(folder: &Path) -> Result<Vec<Head>, Finding> {
    let mut notes = Vec::new();
    for name in [files::HEAD, files::DOUBTFUL_HEAD] {
        let note = files::read_head(&folder.join(name)).map_err(|error| {
            Finding::Folder(format!(
                "{error:#}: whether the tail was cut cannot be told"
            ))
        })?;
        notes.extend(note);
    }
    Ok(notes)
}

/// Says what happened to the row after `end`, which should have `expected` and has `stored` as its HMAC, by what
/// follows it.
async fn explain(
    key: &[u8; 32],
    end: Head,
    (expected, stored): ([u8; 32], [u8; 32]),
    rows: &mut Rows<'_>,
) -> Result<Finding, Finding> {
    let number = end.0 + 1;
    let mut before = (number, stored);
    let (mut later_fits, mut any_later) = (false, false);
    while let Some(event) = rows.next().await? {
        any_later = true;
        let Ok((record, hmac)) = &event.content else {
            before = (event.sequence, [0; 32]);
            continue;
        };
        let fits = |previous: &[u8; 32], sequence, record: &AuditRecord| {
            chain(key, previous, sequence, record) == *hmac
        };
        if event.sequence == number + 1 {
            if fits(&stored, event.sequence, record) {
                return Ok(Finding::Changed(number));
            }
            if fits(&expected, event.sequence, record) {
                return Ok(Finding::HmacChanged(number));
            }
        }
        if fits(&end.1, number, record) {
            return Ok(Finding::Moved {
                sequence: number,
                stands_at: event.sequence,
            });
        }
        later_fits |= event.sequence == before.0 + 1 && fits(&before.1, event.sequence, record);
        before = (event.sequence, *hmac);
    }
    Ok(if later_fits || (!any_later && number > 1) {
        Finding::Unfitting(number)
    } else {
        Finding::NothingFits(number)
    })
}

/// The rows of the trail one after the other, read in batches.
struct Rows<'c> {
    connection: &'c DatabaseConnection,
    events: std::vec::IntoIter<FoundEvent>,
    // Where the next batch begins; `None` after the last one.
    next: Option<i64>,
    last: i64,
    numberless: bool,
    /// The end that the database held when the last row was read.
    stored_end: Option<Head>,
}

impl<'c> Rows<'c> {
    fn new(connection: &'c DatabaseConnection) -> Self {
        Self {
            connection,
            events: Vec::new().into_iter(),
            next: Some(i64::MIN),
            last: 0,
            numberless: false,
            stored_end: None,
        }
    }

    async fn next(&mut self) -> Result<Option<FoundEvent>, Finding> {
        if self.events.as_slice().is_empty()
            && !self.numberless
            && let Some(from) = self.next
        {
            let Batch {
                events,
                head,
                numberless,
            } = audit_check::read(self.connection, from, BATCH).await?;
            self.stored_end = head;
            self.numberless = numberless;
            // A batch that is not full is the last one as of its moment, and the stored end is of the same.
            let full = events.len() as u64 == BATCH;
            self.next = events
                .last()
                .filter(|_| full)
                .and_then(|event| event.sequence.checked_add(1));
            self.events = events.into_iter();
        }
        match self.events.next() {
            Some(event) => {
                self.last = event.sequence;
                Ok(Some(event))
            }
            None if self.numberless => Err(Finding::Numberless(self.last)),
            None => Ok(None),
        }
    }
}

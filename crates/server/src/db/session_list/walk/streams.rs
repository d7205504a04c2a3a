//! Which streams a list is made of, see `walk`.

use rollcall_core::{Kind, SortKey};

use super::{Stream, Walker, column};
use crate::db::life;
use crate::db::scope::Scope;
use crate::db::session_list::ids::{Part, indexed};
use crate::db::sql::Dialect;

const ENDED: &str = " AND s.ended_at IS NOT NULL";

impl Walker<'_> {
    pub(super) fn streams(&self) -> Vec<Stream> {
        let list = &self.list;
        let mut streams = Vec::new();
        match list.sort.key {
            SortKey::CreatedAt if self.whole(&mut streams) => return streams,
            SortKey::CreatedAt | SortKey::State | SortKey::Duration => self.halves(&mut streams),
            SortKey::LastActivityAt => self.by_activity(&mut streams),
            key => self.by_column(key, &mut streams),
        }
        let gone_have_a_place = list.part == Part::Ended
            || (list.part == Part::All && list.sort.key == SortKey::Duration);
        if self.gone_matters() && gone_have_a_place {
            streams.push(Stream {
                source: "gone s".to_owned(),
                conditions: format!(
                    "true{}{}{}",
                    self.kind,
                    self.search,
                    self.within_reach("s.k", None, &self.now)
                ),
                key: "s.k".to_owned(),
                against: None,
                descending: self.descending,
            });
        }
        streams
    }

    /// Rows of both states by their creation, if an index has all that is asked for.
    fn whole(&self, streams: &mut Vec<Stream>) -> bool {
        let of_organisation = matches!(self.list.wanted.scope, Scope::Organisation(_));
        if self.list.part != Part::All || (self.list.wanted.needle.is_some() && !of_organisation) {
            return false;
        }
        let key = "s.created_at".to_owned();
        streams.push(if of_organisation {
            self.stream("session_by_organisation", key, &self.kind)
        } else {
            self.entry_stream("session_by_created", key, &self.kind)
        });
        true
    }

    fn stream(&self, index: &str, key: String, conditions: &str) -> Stream {
        let conditions = format!(
            "{}{conditions}{}{}{}",
            self.in_scope,
            self.bounds_of(&key),
            self.search,
            self.within_reach(&key, None, &self.now)
        );
        Stream {
            source: indexed(self.dialect, index),
            conditions,
            key,
            against: None,
            descending: self.descending,
        }
    }

    /// Rows without a stored end by their duration until a moment: the longest is the oldest.
    fn lasting(&self, index: &str, until: &str, conditions: &str) -> Stream {
        let (key, column) = (format!("({until} - s.created_at)"), "s.created_at");
        let conditions = format!(
            "{}{conditions}{}{}{}",
            self.in_scope,
            self.bounds,
            self.search,
            self.within_reach(&key, Some(column), until)
        );
        Stream {
            source: indexed(self.dialect, index),
            conditions,
            key,
            against: Some(column),
            descending: self.descending,
        }
    }

    /// A stream of `Dialect::entry`.
    fn entry_stream(&self, index: &str, key: String, conditions: &str) -> Stream {
        Stream {
            source: format!("{} s{}", self.dialect.entry(), self.dialect.by(index)),
            conditions: format!(
                "{}{conditions}{}{}{}",
                self.in_scope,
                self.bounds_of(&key),
                self.entry_search,
                self.within_reach(&key, None, &self.now)
            ),
            key,
            against: None,
            descending: self.descending,
        }
    }

    // Of a stream whose key is a column: that of the order.
    fn bounds_of(&self, key: &str) -> &str {
        if key.starts_with("s.") {
            &self.bounds
        } else {
            ""
        }
    }

    /// The last key, for a walk with a reach; begins with AND. A column that runs against the key does so from `from`.
    fn within_reach(&self, key: &str, against: Option<&str>, from: &str) -> String {
        if !self.bounded {
            return String::new();
        }
        let sign = if self.descending { ">=" } else { "<=" };
        match against {
            None => format!(" AND {key} {sign} (SELECT k FROM bound)"),
            // What runs against the key is bounded from the other side.
            Some(column) => {
                let sign = if self.descending { "<=" } else { ">=" };
                format!(" AND {column} {sign} (SELECT {from} - k FROM bound)")
            }
        }
    }

    /// What keeps rows without a stored end that have ended all the same out of the live ones; begins with AND.
    fn not_gone(&self) -> &'static str {
        if self.gone_matters() {
            " AND s.id NOT IN (SELECT id FROM gone)"
        } else {
            ""
        }
    }

    /// The condition of a part on an index that both states share; begins with AND.
    fn state(&self, part: Part) -> String {
        let ended = life::stored_end(self.dialect, "s.number");
        let not_gone = self.not_gone();
        match (part, &self.overtaken) {
            (Part::All, _) => String::new(),
            (Part::Live, None) => format!(" AND NOT {ended}{not_gone}"),
            (Part::Live, Some(overtaken)) => {
                format!(" AND NOT {} AND NOT {ended}{not_gone}", overtaken.by_id)
            }
            (Part::Ended, None) => format!(" AND {ended}"),
            // One stream for both, so that neither passes by all that the other has.
            (Part::Ended, Some(overtaken)) => {
                format!(" AND (({}{not_gone}) OR {ended})", overtaken.by_id)
            }
        }
    }

    /// What keeps rows without a stored end that were overtaken out of the live ones by their creation; begins with
    /// AND.
    fn not_overtaken(&self) -> String {
        match &self.overtaken {
            Some(overtaken) => format!(" AND {}", overtaken.alive_by_creation),
            None => String::new(),
        }
    }

    /// The orders by time, in which ended rows lie far behind the others.
    fn halves(&self, streams: &mut Vec<Stream>) {
        let part = self.list.part;
        if part != Part::Ended {
            let (index, state) = self.by_time(Part::Live);
            let conditions = format!("{state}{}{}", self.not_overtaken(), self.kind);
            streams.push(match self.list.sort.key {
                SortKey::Duration => self.lasting(index, &self.now, &conditions),
                _ => self.stream(index, "s.created_at".to_owned(), &conditions),
            });
        }
        if part == Part::Live {
            return;
        }
        let (index, state, key) = match self.list.sort.key {
            SortKey::Duration => (
                "session_ended_by_duration",
                ENDED.to_owned(),
                "(s.ended_at - s.created_at)",
            ),
            _ => {
                let (index, state) = self.by_time(Part::Ended);
                (index, state, "s.created_at")
            }
        };
        let conditions = format!("{state}{}", self.kind);
        streams.push(self.stream(index, key.to_owned(), &conditions));
        self.overtaken_by_time(streams);
    }

    /// What was overtaken, among the rows without a stored end.
    fn overtaken_by_time(&self, streams: &mut Vec<Stream>) {
        let Some(overtaken) = &self.overtaken else {
            return;
        };
        let unended = format!(" AND s.ended_at IS NULL{}{}", self.not_gone(), self.kind);
        let index = "session_live_by_created";
        match self.list.sort.key {
            SortKey::Duration => {
                streams.extend(overtaken.layers.iter().map(|(rows, until)| {
                    self.lasting(index, until, &format!("{unended} AND {rows}"))
                }));
            }
            // The stream of ended rows has them.
            _ if self.list.along_scope => {}
            _ => {
                let conditions = format!("{unended} AND {}", overtaken.by_creation);
                streams.push(self.stream(index, "s.created_at".to_owned(), &conditions));
            }
        }
    }

    /// The index with the rows of a state by their creation, and the condition that leaves them.
    fn by_time(&self, part: Part) -> (&'static str, String) {
        if self.list.along_scope {
            return ("session_by_organisation", self.state(part));
        }
        match part {
            Part::Ended => ("session_ended_by_created", ENDED.to_owned()),
            _ => (
                "session_live_by_created",
                format!(" AND s.ended_at IS NULL{}", self.not_gone()),
            ),
        }
    }

    fn by_activity(&self, streams: &mut Vec<Stream>) {
        let mut push = |index, state: &str| {
            let key = "s.last_activity_at".to_owned();
            streams.push(self.stream(index, key, &format!("{state}{}", self.kind)));
        };
        let unended = format!(" AND s.ended_at IS NULL{}", self.not_gone());
        match (self.dialect, self.list.part, &self.overtaken) {
            (_, Part::Ended, None) => push("session_ended_by_activity", ENDED),
            (Dialect::Sqlite, Part::Ended, Some(overtaken)) if overtaken.whole => {
                push("session_by_activity", &self.state(Part::Ended));
            }
            (Dialect::Sqlite, Part::Ended, Some(overtaken)) => {
                push("session_ended_by_activity", ENDED);
                let ended = life::stored_end(self.dialect, "s.number");
                let rows = format!(
                    " AND {} AND NOT {ended}{}",
                    overtaken.by_id,
                    self.not_gone()
                );
                push("session_by_activity", &rows);
            }
            (Dialect::Postgres, Part::Ended, Some(overtaken)) => {
                push("session_ended_by_activity", ENDED);
                let rows = format!("{unended} AND {}", overtaken.by_creation);
                push("session_live_by_activity", &rows);
            }
            (Dialect::Sqlite, part, _) => push("session_by_activity", &self.state(part)),
            (Dialect::Postgres, part, _) => {
                let rows = format!("{unended}{}", self.not_overtaken());
                push("session_live_by_activity", &rows);
                if part == Part::All {
                    push("session_ended_by_activity", ENDED);
                }
            }
        }
    }

    /// The orders that have nothing to do with time: states share an index, in which the kind comes first.
    fn by_column(&self, key: SortKey, streams: &mut Vec<Stream>) {
        let index = format!("session_by_{}", name(key));
        let state = self.state(self.list.part);
        let kinds = match &self.list.wanted.filter.kind {
            Some(kind) => std::slice::from_ref(kind),
            None => Kind::ALL,
        };
        for kind in kinds {
            // A word of ours, and part of what the statement is.
            let conditions = format!(" AND s.kind = '{}'{state}", kind.as_str());
            streams.push(self.entry_stream(&index, format!("s.{}", column(key)), &conditions));
        }
    }
}

/// How indexes call a column.
fn name(key: SortKey) -> &'static str {
    match key {
        SortKey::CreatedAt | SortKey::State | SortKey::Duration => "created",
        SortKey::LastActivityAt => "activity",
        SortKey::Ip => "ip",
        SortKey::Name => "name",
        SortKey::User => "email",
        SortKey::Browser => "browser",
    }
}

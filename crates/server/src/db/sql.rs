//! Small helpers for the queries that are written in SQL.

use std::fmt::Write;

use rollcall_core::Timestamp;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult, Statement, Value};
use uuid::Uuid;

/// SQL text that grows together with the values that it binds. `$1`, `$2` and so on work on both
/// databases.
#[derive(Clone)]
pub(super) struct Sql {
    backend: DbBackend,
    text: String,
    values: Vec<Value>,
}

impl Sql {
    pub(super) fn new(connection: &impl ConnectionTrait, text: &str) -> Self {
        Self {
            backend: connection.get_database_backend(),
            text: text.to_owned(),
            values: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// The same values, with text before and after.
    pub(super) fn within(mut self, before: &str, after: &str) -> Self {
        self.text = format!("{before}{}{after}", self.text);
        self
    }

    /// Binds a value and writes its placeholder.
    pub(super) fn bind(&mut self, value: impl Into<Value>) -> &mut Self {
        let place = self.place(value);
        self.text.push_str(&place);
        self
    }

    /// Binds a value and answers its placeholder, for text that names it more than once.
    pub(super) fn place(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        let mut place = String::new();
        // Writing to a string cannot fail.
        let _ = write!(place, "${}", self.values.len());
        place
    }

    /// Binds values and answers their placeholders with commas, for `IN (…)`.
    pub(super) fn places<V: Into<Value>>(&mut self, values: impl IntoIterator<Item = V>) -> String {
        let places: Vec<_> = values.into_iter().map(|value| self.place(value)).collect();
        places.join(", ")
    }

    /// Which database it is for.
    pub(super) fn dialect(&self) -> Dialect {
        Dialect::of_backend(self.backend)
    }

    pub(super) fn statement(self) -> Statement {
        Statement::from_sql_and_values(self.backend, self.text, self.values)
    }

    pub(super) async fn all(
        self,
        connection: &impl ConnectionTrait,
    ) -> Result<Vec<QueryResult>, DbErr> {
        connection.query_all_raw(self.statement()).await
    }

    pub(super) async fn one(
        self,
        connection: &impl ConnectionTrait,
    ) -> Result<Option<QueryResult>, DbErr> {
        connection.query_one_raw(self.statement()).await
    }

    /// Runs it and answers how many rows it changed.
    pub(super) async fn run(self, connection: &impl ConnectionTrait) -> Result<u64, DbErr> {
        Ok(connection
            .execute_raw(self.statement())
            .await?
            .rows_affected())
    }
}

/// A statement of fixed text.
pub(super) fn statement<const N: usize>(
    connection: &impl ConnectionTrait,
    text: &str,
    values: [Value; N],
) -> Statement {
    Statement::from_sql_and_values(connection.get_database_backend(), text, values)
}

/// Reads columns of a row by their names.
pub(super) struct Row<'a>(pub(super) &'a QueryResult);

impl Row<'_> {
    pub(super) fn get<T: sea_orm::TryGetable>(&self, column: &str) -> Result<T, DbErr> {
        self.0.try_get("", column)
    }

    pub(super) fn time(&self, column: &str) -> Result<Timestamp, DbErr> {
        self.get::<i64>(column).map(Timestamp)
    }

    pub(super) fn uuid(&self, column: &str) -> Result<Uuid, DbErr> {
        self.get(column)
    }

    /// A moment and a word that are both there or both missing.
    pub(super) fn end<R>(
        &self,
        at: &str,
        reason: &str,
        parse: impl Fn(&str) -> Option<R>,
    ) -> Result<Option<(Timestamp, R)>, DbErr> {
        match self.get::<Option<i64>>(at)? {
            None => Ok(None),
            Some(at) => {
                let word: String = self.get(reason)?;
                Ok(Some((
                    Timestamp(at),
                    parse(&word).ok_or_else(|| unknown(reason))?,
                )))
            }
        }
    }

    /// A word from a closed list.
    pub(super) fn word<R>(
        &self,
        column: &str,
        parse: impl Fn(&str) -> Option<R>,
    ) -> Result<R, DbErr> {
        let word: String = self.get(column)?;
        parse(&word).ok_or_else(|| unknown(column))
    }

    /// 32 bytes.
    pub(super) fn hash(&self, column: &str) -> Result<[u8; 32], DbErr> {
        hash(self.get(column)?)
    }
}

/// 32 stored bytes.
pub(super) fn hash(bytes: Vec<u8>) -> Result<[u8; 32], DbErr> {
    bytes
        .try_into()
        .map_err(|_| DbErr::Type("a hash has 32 bytes".into()))
}

/// The error for a stored word that this server does not know.
pub(super) fn unknown(column: &str) -> DbErr {
    DbErr::Type(format!("unknown word in {column}"))
}

/// What the two databases call by different names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Dialect {
    Sqlite,
    Postgres,
}

impl Dialect {
    pub(super) fn of(connection: &impl ConnectionTrait) -> Self {
        Self::of_backend(connection.get_database_backend())
    }

    fn of_backend(backend: DbBackend) -> Self {
        match backend {
            DbBackend::Postgres => Self::Postgres,
            _ => Self::Sqlite,
        }
    }

    /// The least of several values.
    pub(super) fn least(self) -> &'static str {
        match self {
            Self::Sqlite => "min",
            Self::Postgres => "least",
        }
    }

    /// The place of a text in another, 0 for none.
    pub(super) fn position(self) -> &'static str {
        match self {
            Self::Sqlite => "instr",
            Self::Postgres => "strpos",
        }
    }

    /// A join that keeps the order in which tables are written. SQLite has no statistics that could tell
    /// it which table to begin with; PostgreSQL has, and is left alone.
    pub(super) fn join(self) -> &'static str {
        match self {
            Self::Sqlite => "CROSS JOIN",
            Self::Postgres => "JOIN",
        }
    }

    /// Joins a table only once rows of those before it are found. PostgreSQL takes NOT for a condition that
    /// half of the rows fulfil, and would make a hash of all users in case some organisation is unsettled,
    /// at each list; what stands behind OFFSET is planned for itself.
    pub(super) fn then(self, table: &str, name: &str, index: &str, on: &str, and: &str) -> String {
        match self {
            Self::Sqlite if index.is_empty() => format!("CROSS JOIN {table} {name} ON {on}"),
            Self::Sqlite => format!("CROSS JOIN {table} {name}{} ON {on}", self.by(index)),
            Self::Postgres => format!(
                "JOIN LATERAL (SELECT * FROM {table} {name} WHERE {on}{and} OFFSET 0) {name} ON true"
            ),
        }
    }

    /// The table with what stays the same of a session: its number, id, organisation, kind, creation and
    /// what orders are by. See the migrations.
    pub(super) fn entry(self) -> &'static str {
        match self {
            Self::Sqlite => "session",
            Self::Postgres => "session_entry",
        }
    }

    /// Names the index to take, where the database takes orders.
    pub(super) fn by(self, index: &str) -> String {
        match self {
            Self::Sqlite => format!(" INDEXED BY {index}"),
            Self::Postgres => String::new(),
        }
    }
}

//! Passes statements on to a database and keeps how it goes about each.

use std::sync::Mutex;

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, ExecResult, QueryResult, Statement,
};

/// A connection that explains what it is asked.
pub(crate) struct Explaining<'a> {
    inner: &'a DatabaseConnection,
    seen: Mutex<Vec<String>>,
}

impl<'a> Explaining<'a> {
    pub(crate) fn new(inner: &'a DatabaseConnection) -> Self {
        Self {
            inner,
            seen: Mutex::default(),
        }
    }

    /// Prints what was seen since the last time, under a heading.
    pub(crate) fn print(&self, what: &str) {
        let mut seen = self.seen.lock().unwrap_or_else(|error| error.into_inner());
        println!("\n### {what}\n");
        for text in seen.drain(..) {
            println!("{text}\n");
        }
    }

    async fn explain(&self, statement: &Statement) {
        let (words, column) = match self.inner.get_database_backend() {
            DbBackend::Postgres => ("EXPLAIN (ANALYZE, BUFFERS)", "QUERY PLAN"),
            _ => ("EXPLAIN QUERY PLAN", "detail"),
        };
        let explain = Statement {
            sql: format!("{words} {}", statement.sql),
            ..statement.clone()
        };
        let plan = match self.inner.query_all_raw(explain).await {
            Ok(rows) => rows
                .iter()
                .filter_map(|row| row.try_get::<String>("", column).ok())
                .collect::<Vec<_>>()
                .join("\n    "),
            Err(error) => error.to_string(),
        };
        let sql = statement
            .sql
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        let mut seen = self.seen.lock().unwrap_or_else(|error| error.into_inner());
        seen.push(format!("{sql}\n    {plan}"));
    }
}

#[sea_orm_migration::async_trait::async_trait]
impl ConnectionTrait for Explaining<'_> {
    fn get_database_backend(&self) -> DbBackend {
        self.inner.get_database_backend()
    }
    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.inner.execute_raw(statement).await
    }
    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.inner.execute_unprepared(sql).await
    }
    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.explain(&statement).await;
        self.inner.query_one_raw(statement).await
    }
    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.explain(&statement).await;
        self.inner.query_all_raw(statement).await
    }
}

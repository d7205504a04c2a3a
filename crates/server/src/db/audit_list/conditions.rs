//! The filters in the words of the database.

use rollcall_core::{Timestamp, Who};
use sea_orm::ConnectionTrait;
use uuid::Uuid;

use super::{Wanted, Way};
use crate::db::error::DbError;
use crate::db::scope::Scope;
use crate::db::sql::{Row, Sql};

impl Wanted<'_> {
    /// The indexes of a way, and what leads into each.
    pub(super) fn branches(&self, sql: &mut Sql, way: Way) -> Vec<(&'static str, String)> {
        let each = |sql: &mut Sql, ids: &Option<Vec<Uuid>>, column: &str, index: &'static str| {
            let ids = ids.as_deref().unwrap_or_default().iter();
            let branch = |id: &Uuid| (index, format!("e.{column} = {}", sql.place(*id)));
            ids.map(branch).collect::<Vec<_>>()
        };
        const ACTOR: (&str, &str) = ("actor_id", "audit_event_by_actor");
        const TARGET: (&str, &str) = ("target_id", "audit_event_by_target");
        let branches = match way {
            Way::Session => {
                let id = self.query.session.map(|id| vec![id.0]);
                each(sql, &id, "session_id", "audit_event_by_session")
            }
            Way::User => {
                let mut both = each(sql, &self.user_as_actor, ACTOR.0, ACTOR.1);
                both.extend(each(sql, &self.user_as_target, TARGET.0, TARGET.1));
                both
            }
            Way::Actor => each(sql, &self.actor, ACTOR.0, ACTOR.1),
            Way::Target => each(sql, &self.target, TARGET.0, TARGET.1),
            Way::Address => vec![("audit_event_by_address", self.address(sql))],
            Way::Outcome => vec![(
                "audit_event_by_outcome",
                // The second half is what the index is of.
                format!("{} AND e.outcome <> 'success'", self.outcome(sql)),
            )],
            Way::Action => vec![("audit_event_by_action", self.action(sql))],
            Way::Time => vec![("audit_event_by_time", self.at(sql))],
            Way::Organisation => vec![("audit_event_by_organisation", self.reach(sql))],
            Way::All => vec![("", "true".to_owned())],
        };
        if branches.is_empty() {
            // A user whom nobody knows.
            return vec![("", "false".to_owned())];
        }
        branches
    }

    /// Every condition on an event `e`, each with AND before it.
    pub(super) fn conditions(&self, sql: &mut Sql) -> String {
        let mut all = String::new();
        let mut and = |condition: String| {
            if !condition.is_empty() {
                all.push_str(" AND ");
                all.push_str(&condition);
            }
        };
        and(self.reach(sql));
        if self.query.user.is_some() {
            and(format!(
                "({} OR {})",
                among(sql, "e.actor_id", &self.user_as_actor),
                among(sql, "e.target_id", &self.user_as_target)
            ));
        }
        if self.actor.is_some() {
            and(among(sql, "e.actor_id", &self.actor));
        }
        if self.target.is_some() {
            and(among(sql, "e.target_id", &self.target));
        }
        if let Some(session) = self.query.session {
            and(format!("e.session_id = {}", sql.place(session.0)));
        }
        and(self.action(sql));
        and(self.outcome(sql));
        and(self.address(sql));
        and(self.at(sql));
        all
    }

    fn reach(&self, sql: &mut Sql) -> String {
        match self.scope {
            Scope::All => String::new(),
            Scope::Organisation(organisation) => {
                format!("e.organisation_id = {}", sql.place(organisation.0))
            }
            Scope::User(user) => {
                let place = sql.place(user.0);
                format!("(e.target_id = {place} OR e.actor_id = {place})")
            }
        }
    }

    fn action(&self, sql: &mut Sql) -> String {
        match self.query.action {
            Some(action) => format!("e.action = {}", sql.place(action.as_str())),
            None => String::new(),
        }
    }

    fn outcome(&self, sql: &mut Sql) -> String {
        match self.query.outcome {
            Some(outcome) => format!("e.outcome = {}", sql.place(outcome.as_str())),
            None => String::new(),
        }
    }

    fn address(&self, sql: &mut Sql) -> String {
        let Some(range) = self.query.ip else {
            return String::new();
        };
        let (first, last) = range.bounds();
        let first = sql.place(first.to_vec());
        if range.is_single() {
            return format!("e.ip_bytes = {first}");
        }
        let last = sql.place(last.to_vec());
        format!("e.ip_bytes >= {first} AND e.ip_bytes <= {last}")
    }

    pub(super) fn at(&self, sql: &mut Sql) -> String {
        let mut bound = |at: Option<Timestamp>, sign: &str| {
            at.map(|at| format!("e.at {sign} {}", sql.place(at.0)))
        };
        let bounds = [bound(self.query.from, ">="), bound(self.query.until, "<")];
        bounds
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" AND ")
    }
}

fn among(sql: &mut Sql, column: &str, ids: &Option<Vec<Uuid>>) -> String {
    let ids = ids.as_deref().unwrap_or_default();
    if ids.is_empty() {
        return "false".to_owned();
    }
    let places: Vec<_> = ids.iter().map(|id| sql.place(*id)).collect();
    format!("{column} IN ({})", places.join(", "))
}

/// The users that are meant, as far as they may be asked for. Several had one e-mail if some were deleted.
pub(super) async fn ids(
    connection: &impl ConnectionTrait,
    scope: Scope,
    who: &Option<Who>,
    only_own: bool,
) -> Result<Option<Vec<Uuid>>, DbError> {
    let Some(who) = who else { return Ok(None) };
    let mut sql = Sql::new(connection, r#"SELECT u.id AS id FROM "user" u WHERE "#);
    match who {
        Who::Id(id) if scope == Scope::All || !only_own => return Ok(Some(vec![id.0])),
        Who::Id(id) => sql.push("u.id = ").bind(id.0),
        Who::Email(email) => sql.push("u.email = ").bind(email.as_str()),
    };
    match scope {
        Scope::All => {}
        Scope::Organisation(organisation) => {
            sql.push(" AND u.organisation_id = ").bind(organisation.0);
        }
        Scope::User(user) => {
            sql.push(" AND u.id = ").bind(user.0);
        }
    }
    let rows = sql.all(connection).await?;
    let ids = rows.iter().map(|row| Row(row).uuid("id"));
    Ok(Some(ids.collect::<Result<_, _>>()?))
}

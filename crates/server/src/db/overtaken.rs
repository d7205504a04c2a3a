//! Sessions that an epoch of their organisation or of the installation has ended and that the sweep has not reached
//! yet: usually none, for some minutes nearly all there are.
//!
//! So they are neither counted nor collected, however many they are. An epoch ends what was created until some moment,
//! and rows lie in the order of their creation: what lives is what was created later, which is little, and the
//! counters know all the rest. Rows whose end another reason may have brought earlier, their expiry or an epoch of
//! their user, are few; `life::gone` has those, and goes before what is said here.

use sea_orm::ConnectionTrait;
use uuid::Uuid;

use super::error::DbError;
use super::scope::Scope;
use super::sql::{Dialect, Row, Sql};
use rollcall_core::Timestamp;

/// Organisations that are told apart in one statement. The sessions of more are collected by `life::gone`: so many
/// at once are small ones, or disabled ones of which next to nothing is left to be swept.
const APART: i64 = 20;

/// What epochs have overtaken within a scope. Each is a fact that stays true while the sweep goes on, so that
/// statements which follow each other agree.
#[derive(Clone, Default, Debug)]
pub(super) struct Overtaken {
    realms: Vec<Realm>,
}

/// Sessions to which the same epochs apply.
#[derive(Clone, Debug)]
struct Realm {
    whose: Whose,
    /// By their creation, each from where the one before ends. Never empty.
    layers: Vec<Layer>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Whose {
    Organisation(Uuid),
    /// All organisations that have no realm of their own.
    Others,
}

/// Sessions that ended at the same moment.
#[derive(Clone, Copy, Debug)]
struct Layer {
    /// The last creation; `None` for all that is left.
    until: Option<i64>,
    at: i64,
}

impl Realm {
    fn new(whose: Whose, epochs: [Option<i64>; 2], disabled: Option<Timestamp>) -> Option<Self> {
        let mut epochs: Vec<i64> = epochs.into_iter().flatten().collect();
        epochs.sort_unstable();
        epochs.dedup();
        let mut layers: Vec<_> = epochs
            .into_iter()
            .map(|epoch| Layer {
                until: Some(epoch),
                at: epoch,
            })
            .collect();
        layers.extend(disabled.map(|now| Layer {
            until: None,
            at: now.0,
        }));
        (!layers.is_empty()).then_some(Self { whose, layers })
    }

    /// What was created later lives; `None` where nothing does.
    fn last(&self) -> Option<i64> {
        self.layers.last().and_then(|layer| layer.until)
    }
}

impl Overtaken {
    /// What has been overtaken in this scope. Nothing for a user, whose sessions are looked at one by one.
    pub(super) async fn read(
        connection: &impl ConnectionTrait,
        scope: Scope,
        now: Timestamp,
    ) -> Result<Self, DbError> {
        let dialect = Dialect::of(connection);
        let mut sql = Sql::new(
            connection,
            "SELECT CAST(NULL AS uuid) AS id, ended_before, true AS enabled FROM installation WHERE NOT settled
            UNION ALL SELECT id, ended_before, enabled FROM (SELECT id, ended_before, enabled FROM organisation",
        );
        sql.push(&dialect.by("organisation_unsettled"))
            .push(" WHERE NOT settled");
        match scope {
            Scope::All => {}
            Scope::Organisation(organisation) => {
                sql.push(" AND id = ").bind(organisation.0);
            }
            Scope::User(_) => return Ok(Self::default()),
        }
        sql.push(" ORDER BY id LIMIT ").bind(APART).push(") o");
        let mut installation = None;
        let mut organisations = Vec::new();
        for row in sql.all(connection).await? {
            let row = Row(&row);
            let epoch: Option<i64> = row.get("ended_before")?;
            match row.get::<Option<Uuid>>("id")? {
                None => installation = epoch,
                Some(id) => organisations.push((id, epoch, row.get::<bool>("enabled")?)),
            }
        }
        if let Scope::Organisation(organisation) = scope
            && organisations.is_empty()
        {
            organisations.push((organisation.0, None, true));
        }
        let mut realms: Vec<_> = organisations
            .into_iter()
            .filter_map(|(id, epoch, enabled)| {
                let disabled = (!enabled).then_some(now);
                Realm::new(Whose::Organisation(id), [epoch, installation], disabled)
            })
            .collect();
        if scope == Scope::All {
            realms.extend(Realm::new(Whose::Others, [installation, None], None));
        }
        Ok(Self { realms })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.realms.is_empty()
    }

    /// The organisations of which `life::gone` need not know.
    pub(super) fn organisations(&self) -> Vec<Uuid> {
        self.realms
            .iter()
            .filter_map(|realm| match realm.whose {
                Whose::Organisation(id) => Some(id),
                Whose::Others => None,
            })
            .collect()
    }

    /// Where all of the scope was overtaken: the moment until which nothing was created that lives.
    pub(super) fn nothing_lives_until(&self, scope: Scope) -> Option<i64> {
        let whose = match scope {
            Scope::All => Whose::Others,
            Scope::Organisation(id) => Whose::Organisation(id.0),
            Scope::User(_) => return None,
        };
        self.realms
            .iter()
            .find(|realm| realm.whose == whose)
            .map(|realm| realm.last().unwrap_or(i64::MAX))
    }

    /// Whether an epoch has overtaken an organisation, of which `column` has the id, as SQL; `None` where none was.
    pub(super) fn covers(&self, sql: &mut Sql, column: &str) -> Option<String> {
        let all = self.realms.iter().any(|realm| realm.whose == Whose::Others);
        match (self.is_empty(), all) {
            (true, _) => None,
            (false, true) => Some("true".to_owned()),
            (false, false) => Some(format!(
                "{column} IN ({})",
                sql.places(self.organisations())
            )),
        }
    }

    /// Whether an epoch has overtaken this organisation.
    pub(super) fn covers_all_of(&self, organisation: Uuid) -> bool {
        self.realms.iter().any(|realm| match realm.whose {
            Whose::Organisation(id) => id == organisation,
            Whose::Others => true,
        })
    }

    /// Whose rows `s` are those of a realm.
    fn of(&self, sql: &mut Sql, realm: &Realm) -> String {
        match realm.whose {
            Whose::Organisation(id) => format!("s.organisation_id = {}", sql.place(id)),
            Whose::Others => match self.organisations() {
                none if none.is_empty() => "true".to_owned(),
                some => format!("s.organisation_id NOT IN ({})", sql.places(some)),
            },
        }
    }

    /// True for a row `s` without a stored end that an epoch has overtaken, by its creation and organisation.
    pub(super) fn by_creation(&self, sql: &mut Sql) -> String {
        let realms: Vec<_> = self
            .realms
            .iter()
            .map(|realm| {
                let of = self.of(sql, realm);
                match realm.last() {
                    Some(last) => format!("{of} AND s.created_at <= {}", sql.place(last)),
                    None => of,
                }
            })
            .collect();
        format!("({})", realms.join(" OR "))
    }

    /// The opposite, with a moment at which an index can begin.
    pub(super) fn alive_by_creation(&self, sql: &mut Sql, scope: Scope) -> String {
        let overtaken = self.by_creation(sql);
        match self.nothing_lives_until(scope) {
            Some(last) => format!("s.created_at > {} AND NOT {overtaken}", sql.place(last)),
            None => format!("NOT {overtaken}"),
        }
    }

    /// The id and number of each row without a stored end that is in a realm, and not overtaken: few, since they are
    /// as new as the epoch. To be called `spared` where the next two are used.
    pub(super) fn spared(&self, sql: &mut Sql) -> String {
        let dialect = sql.dialect();
        let mut parts = Vec::new();
        for realm in &self.realms {
            if let Some(last) = realm.last() {
                parts.push(format!(
                    "SELECT s.id AS id, s.number AS number FROM session s{index} WHERE s.ended_at IS NULL AND {of} AND s.created_at > {last}",
                    index = dialect.by(index(realm)),
                    of = self.of(sql, realm),
                    last = sql.place(last),
                ));
            }
        }
        if parts.is_empty() {
            parts.push(
                "SELECT s.id AS id, s.number AS number FROM session s WHERE false".to_owned(),
            );
        }
        parts.join(" UNION ALL ")
    }

    /// `by_creation`, for an index that knows no creation.
    pub(super) fn by_id(&self, sql: &mut Sql, scope: Scope) -> String {
        let spared = "s.id NOT IN (SELECT id FROM spared)";
        match self.nothing_lives_until(scope) {
            Some(_) => spared.to_owned(),
            None => {
                let organisations = sql.places(self.organisations());
                format!("(s.organisation_id IN ({organisations}) AND {spared})")
            }
        }
    }

    /// `by_creation`, for one who knows no more than the number of the row.
    pub(super) fn by_number(&self, sql: &mut Sql, scope: Scope, number: &str) -> String {
        let spared = format!("{number} NOT IN (SELECT number FROM spared)");
        match self.nothing_lives_until(scope) {
            Some(_) => spared,
            None => {
                let organisations = sql.places(self.organisations());
                format!(
                    "((SELECT w.organisation_id FROM session w WHERE w.number = {number}) IN ({organisations}) AND {spared})"
                )
            }
        }
    }

    /// When a row `s` without a stored end was overtaken; NULL if it was not.
    pub(super) fn at(&self, sql: &mut Sql) -> String {
        let mut cases = String::new();
        for realm in &self.realms {
            let of = self.of(sql, realm);
            for layer in &realm.layers {
                let until = match layer.until {
                    Some(until) => format!(" AND s.created_at <= {}", sql.place(until)),
                    None => String::new(),
                };
                cases += &format!(" WHEN {of}{until} THEN {}", sql.place(layer.at));
            }
        }
        match cases.is_empty() {
            true => "CAST(NULL AS bigint)".to_owned(),
            false => format!("CASE{cases} END"),
        }
    }

    /// The rows that ended together: the condition on a row `s` without a stored end, and when that was.
    pub(super) fn layers(&self, sql: &mut Sql) -> Vec<(String, String)> {
        let mut layers = Vec::new();
        for realm in &self.realms {
            let mut after = None;
            for layer in &realm.layers {
                let mut condition = self.of(sql, realm);
                if let Some(after) = after {
                    condition += &format!(" AND s.created_at > {}", sql.place(after));
                }
                if let Some(until) = layer.until {
                    condition += &format!(" AND s.created_at <= {}", sql.place(until));
                }
                layers.push((condition, sql.place(layer.at)));
                after = layer.until;
            }
        }
        layers
    }

    /// For each realm: whose sessions they are, `None` for all others; when nearly all of them ended; and, as a
    /// query with the columns `kind`, `ended` (when; NULL while it lives) and `sessions`, those that were created
    /// later, by when they ended. No query where there are none.
    pub(super) fn tallies(
        &self,
        connection: &impl ConnectionTrait,
    ) -> Vec<(Option<Uuid>, i64, Option<Sql>)> {
        let mut tallies = Vec::new();
        for realm in &self.realms {
            let whose = match realm.whose {
                Whose::Organisation(id) => Some(id),
                Whose::Others => None,
            };
            let first = realm.layers[0];
            let later = first.until.map(|until| {
                let mut sql = Sql::new(connection, "");
                let of = self.of(&mut sql, realm);
                let from = sql.place(until);
                let mut cases = String::new();
                for layer in &realm.layers[1..] {
                    let within = match layer.until {
                        Some(until) => format!("s.created_at <= {}", sql.place(until)),
                        None => "true".to_owned(),
                    };
                    cases += &format!(" WHEN {within} THEN {}", sql.place(layer.at));
                }
                let ended = match cases.is_empty() {
                    true => "CAST(NULL AS bigint)".to_owned(),
                    false => format!("CASE{cases} END"),
                };
                let index = sql.dialect().by(index(realm));
                sql.push(&format!(
                    "SELECT l.kind AS kind, l.ended AS ended, count(*) AS sessions FROM (
                        SELECT s.kind AS kind, {ended} AS ended FROM session s{index}
                        WHERE s.ended_at IS NULL AND {of} AND s.created_at > {from}
                    ) l GROUP BY l.kind, l.ended"
                ));
                sql
            });
            tallies.push((whose, first.at, later));
        }
        tallies
    }
}

/// The index with the rows of a realm in the order of their creation. What a disabled organisation has that is newer
/// stays as long as nobody sweeps it, so that it must not be looked for among everybody's.
fn index(realm: &Realm) -> &'static str {
    match realm.whose {
        Whose::Organisation(_) => "session_by_organisation",
        Whose::Others => "session_live_by_created",
    }
}

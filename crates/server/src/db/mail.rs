//! Mails: those on their way and those that were sent, and what their links are good for.
//!
//! No secret of a link is stored. It is made when the mail is sent, and its hash then; a mail that is sent twice, because
//! nobody knows whether it arrived the first time, has two links that are good for one and the same.

use rollcall_core::{SessionId, Timestamp, UserId};
use sea_orm::ConnectionTrait;
use uuid::Uuid;

use super::error::DbError;
use super::sql::{Row, Sql};

/// A mail to a user: what it tells of, and what its link is good for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Letter {
    /// Its id.
    pub id: Uuid,
    /// Whom it is for.
    pub user: UserId,
    /// What it tells.
    pub kind: LetterKind,
    /// Where it goes.
    pub email: String,
    /// The session that it tells of.
    pub session: Option<SessionId>,
    /// Browser and system that it tells of; empty where there is none.
    pub device: String,
    /// The address; empty where there is none.
    pub ip: String,
    /// The hash of the password hash in force, where the link sets another.
    pub proof: Option<[u8; 32]>,
    /// When there was something to tell.
    pub created_at: Timestamp,
    /// When it is not worth sending any more, and its link is good for nothing.
    pub expires_at: Timestamp,
    /// How far its link was used.
    pub step: i64,
}

/// What a mail tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LetterKind {
    /// Here is the link that sets a new password.
    ResetLink,
    /// The same, after the user has reported a sign-in.
    Withdrawn,
    /// Somebody signed in from a new browser or network; a link reports that.
    NewDevice,
    /// The account was locked.
    Locked,
    /// The password was changed.
    PasswordChanged,
    /// The password was set by a link.
    PasswordReset,
    /// An administrator has reset the password.
    PasswordResetByAdministrator,
    /// Whoever an identity provider vouches for signs in as this user from now on.
    IdentityLinked,
}

impl LetterKind {
    const ALL: [Self; 8] = [
        Self::ResetLink,
        Self::Withdrawn,
        Self::NewDevice,
        Self::Locked,
        Self::PasswordChanged,
        Self::PasswordReset,
        Self::PasswordResetByAdministrator,
        Self::IdentityLinked,
    ];

    /// As it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ResetLink => "reset_link",
            Self::Withdrawn => "withdrawn",
            Self::NewDevice => "new_device",
            Self::Locked => "locked",
            Self::PasswordChanged => "password_changed",
            Self::PasswordReset => "password_reset",
            Self::PasswordResetByAdministrator => "password_reset_by_administrator",
            Self::IdentityLinked => "identity_linked",
        }
    }

    /// The kind that is stored as this word.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Whether its link sets a new password.
    pub const fn sets_password(self) -> bool {
        matches!(self, Self::ResetLink | Self::Withdrawn)
    }
}

/// A mail whose time has come.
#[derive(Clone, Copy, Debug)]
pub struct Due {
    /// Which.
    pub id: Uuid,
    /// How often it was tried.
    pub attempts: i64,
    /// When it is not worth sending any more.
    pub expires_at: Timestamp,
}

/// Puts a mail on its way.
pub async fn post(
    connection: &impl ConnectionTrait,
    letter: Option<&Letter>,
) -> Result<(), DbError> {
    // Nothing where no mail is sent, or to nobody who reads it.
    let Some(letter) = letter else {
        return Ok(());
    };
    let mut sql = Sql::new(
        connection,
        "INSERT INTO mail_letter (id, user_id, kind, email, session_id, device, ip, proof, created_at, expires_at, next_at)
         VALUES (",
    );
    let at = letter.created_at.0;
    sql.bind(letter.id)
        .push(", ")
        .bind(letter.user.0)
        .push(", ")
        .bind(letter.kind.as_str())
        .push(", ")
        .bind(letter.email.clone())
        .push(", ")
        .bind(letter.session.map(|session| session.0))
        .push(", ")
        .bind(letter.device.clone())
        .push(", ")
        .bind(letter.ip.clone())
        .push(", ")
        .bind(letter.proof.map(|proof| proof.to_vec()))
        .push(", ")
        .bind(at)
        .push(", ")
        .bind(letter.expires_at.0)
        .push(", ")
        .bind(at)
        .push(")");
    sql.run(connection).await?;
    Ok(())
}

/// The same, but no more than `most` of a kind for one user since then: what others can bring about must not fill somebody's
/// mailbox. False if it was one too many.
pub async fn post_at_most(
    connection: &impl ConnectionTrait,
    letter: Option<&Letter>,
    most: i64,
    since: Timestamp,
) -> Result<bool, DbError> {
    let Some(letter) = letter else {
        return Ok(false);
    };
    let written = count_since(connection, letter.user, letter.kind, since).await?;
    if written < most {
        post(connection, Some(letter)).await?;
    }
    Ok(written < most)
}

/// How many mails of a kind a user has been written since.
async fn count_since(
    connection: &impl ConnectionTrait,
    user: UserId,
    kind: LetterKind,
    since: Timestamp,
) -> Result<i64, DbError> {
    let mut sql = Sql::new(
        connection,
        "SELECT count(*) AS written FROM mail_letter WHERE user_id = ",
    );
    sql.bind(user.0)
        .push(" AND kind = ")
        .bind(kind.as_str())
        .push(" AND created_at > ")
        .bind(since.0);
    match sql.one(connection).await? {
        Some(row) => Ok(Row(&row).get("written")?),
        None => Ok(0),
    }
}

/// The mails whose time has come, those that wait for longest first.
pub async fn due(
    connection: &impl ConnectionTrait,
    now: Timestamp,
    limit: u64,
) -> Result<Vec<Due>, DbError> {
    let mut sql = Sql::new(
        connection,
        "SELECT id, attempts, expires_at FROM mail_letter WHERE next_at <= ",
    );
    sql.bind(now.0)
        .push(" ORDER BY next_at, id LIMIT ")
        .bind(i64::try_from(limit).unwrap_or(i64::MAX));
    let rows = sql.all(connection).await?;
    let due = rows.iter().map(|row| {
        let row = Row(row);
        Ok(Due {
            id: row.uuid("id")?,
            attempts: row.get("attempts")?,
            expires_at: row.time("expires_at")?,
        })
    });
    due.collect()
}

/// Takes a mail to send it, and puts off the next attempt until `next_at`. `None` if somebody else has taken it.
pub async fn take(
    connection: &impl ConnectionTrait,
    due: Due,
    now: Timestamp,
    next_at: Timestamp,
) -> Result<Option<Letter>, DbError> {
    let mut sql = Sql::new(
        connection,
        "UPDATE mail_letter SET attempts = attempts + 1, next_at = ",
    );
    sql.bind(next_at.0)
        .push(" WHERE next_at <= ")
        .bind(now.0)
        .push(" AND attempts = ")
        .bind(due.attempts)
        .push(" AND id = ")
        .bind(due.id)
        .push(" RETURNING *");
    read(sql.one(connection).await?.as_ref())
}

/// Gives a mail another link.
pub async fn add_link(
    connection: &impl ConnectionTrait,
    letter: Uuid,
    secret_hash: &[u8; 32],
) -> Result<(), DbError> {
    let mut sql = Sql::new(
        connection,
        "INSERT INTO mail_link (secret_hash, letter_id) VALUES (",
    );
    sql.bind(secret_hash.to_vec())
        .push(", ")
        .bind(letter)
        .push(")");
    sql.run(connection).await?;
    Ok(())
}

/// Notes that a mail is over: sent at this time, or given up.
pub async fn close(
    connection: &impl ConnectionTrait,
    letter: Uuid,
    sent_at: Option<Timestamp>,
) -> Result<(), DbError> {
    let mut sql = Sql::new(
        connection,
        "UPDATE mail_letter SET next_at = NULL, sent_at = ",
    );
    sql.bind(sent_at.map(|at| at.0))
        .push(" WHERE next_at IS NOT NULL AND id = ")
        .bind(letter);
    sql.run(connection).await?;
    Ok(())
}

/// The mail that has this link, until it is too old.
pub async fn find_by_link(
    connection: &impl ConnectionTrait,
    secret_hash: &[u8; 32],
    now: Timestamp,
) -> Result<Option<Letter>, DbError> {
    let mut sql = Sql::new(
        connection,
        "SELECT l.* FROM mail_link k JOIN mail_letter l ON l.id = k.letter_id WHERE k.secret_hash = ",
    );
    sql.bind(secret_hash.to_vec())
        .push(" AND l.expires_at > ")
        .bind(now.0);
    read(sql.one(connection).await?.as_ref())
}

/// Uses a link for this step. `None` if it has come as far already, or is too old: of two at the same time one is answered.
pub async fn use_link(
    connection: &impl ConnectionTrait,
    secret_hash: &[u8; 32],
    step: i64,
    now: Timestamp,
) -> Result<Option<Letter>, DbError> {
    let mut sql = Sql::new(connection, "UPDATE mail_letter SET step = ");
    sql.bind(step)
        .push(" WHERE step < ")
        .bind(step)
        .push(" AND expires_at > ")
        .bind(now.0)
        .push(" AND id = (SELECT letter_id FROM mail_link WHERE secret_hash = ")
        .bind(secret_hash.to_vec())
        .push(") RETURNING *");
    read(sql.one(connection).await?.as_ref())
}

/// The zone that this user's times are shown in, if they chose one.
pub async fn zone_of(
    connection: &impl ConnectionTrait,
    user: UserId,
) -> Result<Option<String>, DbError> {
    let mut sql = Sql::new(connection, r#"SELECT time_zone FROM "user" WHERE id = "#);
    sql.bind(user.0);
    match sql.one(connection).await? {
        Some(row) => Ok(Row(&row).get("time_zone")?),
        None => Ok(None),
    }
}

/// Makes all links void, and sends nothing that waits: what a backup holds of them may have been used and sent since.
pub async fn forget_everything(connection: &impl ConnectionTrait) -> Result<(), DbError> {
    Sql::new(connection, "DELETE FROM mail_link")
        .run(connection)
        .await?;
    let waiting = "UPDATE mail_letter SET next_at = NULL WHERE next_at IS NOT NULL";
    Sql::new(connection, waiting).run(connection).await?;
    Ok(())
}

/// Removes mails that were worth nothing any more before this time, and their links.
pub async fn purge(connection: &impl ConnectionTrait, before: Timestamp) -> Result<u64, DbError> {
    let mut sql = Sql::new(
        connection,
        "DELETE FROM mail_link WHERE letter_id IN (SELECT id FROM mail_letter WHERE expires_at <= ",
    );
    sql.bind(before.0).push(")");
    sql.run(connection).await?;
    let mut sql = Sql::new(connection, "DELETE FROM mail_letter WHERE expires_at <= ");
    sql.bind(before.0);
    Ok(sql.run(connection).await?)
}

fn read(row: Option<&sea_orm::QueryResult>) -> Result<Option<Letter>, DbError> {
    let Some(row) = row else {
        return Ok(None);
    };
    let row = Row(row);
    let proof: Option<Vec<u8>> = row.get("proof")?;
    Ok(Some(Letter {
        id: row.uuid("id")?,
        user: UserId(row.uuid("user_id")?),
        kind: row.word("kind", LetterKind::from_name)?,
        email: row.get("email")?,
        session: row.get::<Option<Uuid>>("session_id")?.map(SessionId),
        device: row.get("device")?,
        ip: row.get("ip")?,
        proof: proof.map(super::sql::hash).transpose()?,
        created_at: row.time("created_at")?,
        expires_at: row.time("expires_at")?,
        step: row.get("step")?,
    }))
}

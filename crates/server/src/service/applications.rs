//! For applications that sign people in by themselves: sessions opened on behalf of somebody, and what tokens stand for.

use std::net::IpAddr;

use rollcall_core::{
    AuditAction, AuditOutcome, EndReason, Error, Field, Introspection, Kind, Leaving, Method,
    OpenFor, Permission, Permissions, Problem, Rights, Session, Timestamp, TokenFacts, WhenFull,
    Whom,
};

use super::Service;
use super::audit::{Describe, event};
use super::authenticate::Authentication;
use super::caller::Caller;
use super::facts::{LONGEST_USER_AGENT, RequestFacts};
use super::limits::Room;
use super::opening::Wanted;
use super::sign_in::{
    Refused, account_key, count_sign_in, session_name, unlock_before, usable, user_ref,
};
use super::token::Token;
use crate::db::records::UserRecord;
use crate::db::{self, DbError, Scope};

impl Service {
    /// Opens a session for a user of the caller's organisation who was signed in elsewhere. It opens introspection,
    /// `/auth/verify`, `GET /api/v1/me` and its own end, and has none of its user's rights. Needs `sessions.create_for`.
    pub async fn open_for(
        &self,
        caller: &Caller,
        facts: &RequestFacts,
        input: OpenFor,
    ) -> Result<(Session, Token), Refused> {
        let attempt = event(
            self.now(),
            AuditAction::SessionCreated,
            AuditOutcome::Success,
            Some(facts),
        )
        .by(caller.user_id(), caller.name());
        let opened = self.open_permitted(caller, facts, input).await;
        match &opened {
            Ok(_) => count_sign_in(AuditOutcome::Success),
            Err(refused) => {
                count_sign_in(AuditOutcome::Refused);
                self.note_refusal::<()>(caller, attempt, &Err(refused.error))
                    .await;
            }
        }
        opened
    }

    async fn open_permitted(
        &self,
        caller: &Caller,
        facts: &RequestFacts,
        input: OpenFor,
    ) -> Result<(Session, Token), Refused> {
        caller.authorise(Permission::SessionsCreateFor)?;
        // However far the permission reaches: an application speaks for its own organisation.
        let scope = Scope::Organisation(caller.organisation_id());
        let theirs = their_facts(facts, &input)?;
        let wanted = Wanted {
            name: session_name(input.name.as_deref(), &theirs)?,
            kind: Kind::Api,
            keep: input.keep,
            leaving: Leaving::Only(input.end.clone()),
        };
        let user = self.user_for(scope, &input.user).await?;
        let policy = self.policy_of(&user).await?;
        let (now, token) = (self.now(), Token::generate(self.random()));
        let leaving = wanted.leaving.clone();
        let room = Room::new(&user, &policy, &theirs, now, leaving, None);
        let chooses = policy.when_full() == WhenFull::Choose;
        let timeouts = self.timeouts_for(&policy, wanted.kind, wanted.keep);
        let owner = (user.id, user.organisation_id);
        let mut session = self.new_session(owner, &token, wanted, timeouts, &theirs, now);
        session.method = Method::OnBehalf;
        let created = event(
            now,
            AuditAction::SessionCreated,
            AuditOutcome::Success,
            Some(facts),
        )
        .by(caller.user_id(), caller.name())
        .to(&user_ref(&user), user.organisation_id)
        .on(session.id)
        .with(Method::OnBehalf.as_str());
        let key = account_key(&user.email);
        let unlock_before = unlock_before(&policy, now);
        let (id, user_id) = (session.id, user.id);
        self.flush_activity().await?;
        let opened = self
            .write_then(
                move |tx, trail| {
                    Box::pin(async move {
                        let refused = |error| Err(DbError::Refused(error));
                        let Some(user) = db::user_changes::hold(tx, scope, user_id).await? else {
                            return refused(not_offered(&input.user));
                        };
                        let roles = db::user_list::roles_of(tx, user_id).await?;
                        let rights = roles.map(|roles| roles.rights());
                        let harmless = rights.is_some_and(has_own_sessions_only);
                        let locked = db::attempts::refuses(tx, &key, unlock_before).await?;
                        if !usable(&user) || locked || !harmless {
                            return refused(Error::UserNotEligible);
                        }
                        let leaving = match room.find(tx).await? {
                            Ok(leaving) => leaving,
                            Err(error) => return refused(error),
                        };
                        db::users::note_sign_in_elsewhere(tx, user_id, now).await?;
                        db::sessions::insert(tx, &session, &user.email).await?;
                        let (made, stopped, mut events) = room.make(tx, leaving).await?;
                        events.push(created);
                        trail.append_all(tx, &events).await?;
                        Ok((made, stopped))
                    })
                },
                |service, (made, stopped)| service.ended_many(made, EndReason::Limit, stopped),
            )
            .await;
        // What stopped was told of after the commit.
        let (_, _) = opened.map_err(|error| Refused {
            error,
            chooser: (chooses && matches!(error, Error::SessionLimit(_))).then_some(user_id),
        })?;
        let session = self.find_for_owner(user_id, id).await?;
        Ok((session, token))
    }

    async fn user_for(&self, scope: Scope, whom: &Whom) -> Result<UserRecord, Error> {
        let reader = self.db().reader();
        let found = match whom {
            Whom::Id(id) => db::users::find_scoped(reader, scope, *id).await,
            Whom::Email(email) => db::users::find_by_email(reader, &account_key(email)).await,
        };
        let found = found.map_err(|error| self.database_error(error))?;
        found
            .filter(|user| !user.deleted && scope.covers(user.organisation_id, user.id))
            .ok_or(not_offered(whom))
    }

    /// What a token stands for, as far as it concerns the caller's organisation. Counts as a use of the session, like any
    /// request with the token, but never rotates it. Needs `sessions.introspect`.
    pub async fn introspect(
        &self,
        caller: &Caller,
        facts: &RequestFacts,
        token: Option<&Token>,
    ) -> Result<Introspection, Error> {
        caller.authorise(Permission::SessionsIntrospect)?;
        // What is no token of ours is nobody's.
        let Some(token) = token else {
            return Ok(Introspection::default());
        };
        let organisation = Some(caller.organisation_id());
        let looked_up = self
            .authenticate_within(token, false, facts, organisation)
            .await?;
        Ok(match looked_up {
            Authentication::Live { caller, .. } => introspection(&caller),
            Authentication::Dead { .. } | Authentication::Unknown => Introspection::default(),
        })
    }

    /// Ends the session that this token proves (RFC 7009). Whoever has the token may: it signs out as well.
    pub async fn revoke_token(&self, facts: &RequestFacts, token: &Token) -> Result<(), Error> {
        match self.authenticate(token, false, facts).await? {
            Authentication::Live { caller, .. } => self.sign_out(&caller, facts).await,
            Authentication::Dead { .. } | Authentication::Unknown => Ok(()),
        }
    }
}

fn not_offered(whom: &Whom) -> Error {
    let field = match whom {
        Whom::Id(_) => Field::User,
        Whom::Email(_) => Field::Email,
    };
    Error::Invalid(field, Problem::NotOffered)
}

// Where the user is, as the application says; limits count by it, and the session shows it.
fn their_facts(facts: &RequestFacts, input: &OpenFor) -> Result<RequestFacts, Error> {
    let ip = match input.ip.as_deref() {
        None => facts.ip,
        Some(text) => text
            .parse::<IpAddr>()
            .map_err(|_| Error::Invalid(Field::Ip, Problem::Malformed))?
            .to_canonical(),
    };
    let user_agent = input.user_agent.as_ref().unwrap_or(&facts.user_agent);
    let problem = if user_agent.len() > LONGEST_USER_AGENT {
        Some(Problem::TooLong(LONGEST_USER_AGENT as u32))
    } else {
        // A header cannot hold them either.
        let control = user_agent.chars().any(char::is_control);
        control.then_some(Problem::Malformed)
    };
    if let Some(problem) = problem {
        return Err(Error::Invalid(Field::UserAgent, problem));
    }
    Ok(RequestFacts {
        ip,
        user_agent: user_agent.clone(),
        ..facts.clone()
    })
}

fn has_own_sessions_only(rights: Rights) -> bool {
    let beyond = rights.permissions.without(Permission::ClientsRegister);
    beyond == Permissions::default() && rights.everywhere == Permissions::default()
}

// A client's session stands for less than its user, and whoever has a one-time password has to change it first: to an
// application neither is the user.
fn introspection(session: &Caller) -> Introspection {
    let (Ok(known), false) = (
        session.session(),
        session.is_client() || session.password_change_required(),
    ) else {
        return Introspection::default();
    };
    let (record, authority) = (&known.record, &known.authority);
    let seconds = |at: Timestamp| at.seconds_since(Timestamp(0));
    Introspection {
        active: true,
        about: Some(TokenFacts {
            token_type: "Bearer",
            sub: authority.user.id,
            username: authority.user.email.clone(),
            name: authority.user.name.clone(),
            sid: record.id,
            organisation: authority.organisation.clone(),
            role: authority.role_name.clone(),
            kind: record.kind,
            method: record.method,
            iat: seconds(record.created_at),
            exp: seconds(known.idle_expires_at().min(record.absolute_expires_at)),
            auth_time: seconds(record.authenticated_at),
        }),
    }
}

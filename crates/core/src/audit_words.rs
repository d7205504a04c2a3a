//! Audit events in words, for people. Programs read the fields.

use crate::audit::{AuditAction, AuditEvent, AuditOutcome};
use crate::session::EndReason;

impl AuditEvent {
    /// What happened as one sentence: "Ada Admin ended a session of Bo Member: left it in the library".
    pub fn sentence(&self) -> String {
        let who = self.who();
        let whom = self.whom();
        let detail = self.detail.as_deref().unwrap_or_default();
        let success = self.outcome == AuditOutcome::Success;
        match self.action {
            AuditAction::SignIn => self.sign_in(&whom, detail),
            AuditAction::SessionEnded if success => self.ended(&who, &whom, detail),
            AuditAction::SessionsEnded if success => {
                let (_, count) = detail.split_once(": ").unwrap_or(("", detail));
                format!(
                    "{who} ended sessions of {}: {count}",
                    self.object("their own", &whom)
                )
            }
            AuditAction::TokenReused if success => {
                format!(
                    "An old copy of a token of {whom} was used, and the session ended for safety"
                )
            }
            AuditAction::UserLocked if success => {
                format!("The account of {whom} was locked after too many wrong passwords")
            }
            AuditAction::CredentialsAmbiguous => {
                "A request that carried two credentials was refused".to_owned()
            }
            AuditAction::BackupRestored if success => {
                format!("A backup was put in place and all its sessions ended; {detail}")
            }
            action => {
                let alone = own_verbs(action).filter(|_| self.is_own() || self.target.is_none());
                let object = match alone {
                    Some(_) => String::new(),
                    None => format!(" {whom}"),
                };
                let (did, to_do) = alone.unwrap_or_else(|| verbs(action));
                if success {
                    let told = detail.trim_start_matches("command line");
                    let more = if told.is_empty() {
                        String::new()
                    } else {
                        format!(": {told}")
                    };
                    format!("{who} {did}{object}{more}")
                } else {
                    format!("{who} tried to {to_do}{object}, {}", self.hindrance())
                }
            }
        }
    }

    /// How it went, in a word or two, and how bad that is: `amber`, `red` or nothing, as tags are coloured.
    pub const fn outcome_words(&self) -> (&'static str, &'static str) {
        match self.outcome {
            AuditOutcome::Success => match self.action {
                AuditAction::TokenReused | AuditAction::UserLocked => ("alarm", "red"),
                _ => ("done", ""),
            },
            AuditOutcome::NotPermitted => ("not permitted", "red"),
            AuditOutcome::NotFound => ("not found", "amber"),
            AuditOutcome::AlreadyEnded => ("already ended", "amber"),
            AuditOutcome::Failed => ("failed", "red"),
            AuditOutcome::WrongPassword => ("wrong password", "amber"),
            AuditOutcome::Locked => ("locked", "red"),
            AuditOutcome::Disabled => ("disabled", "red"),
            AuditOutcome::Throttled => ("throttled", "red"),
            AuditOutcome::Refused => ("refused", "red"),
        }
    }

    fn who(&self) -> String {
        match &self.actor {
            Some(actor) => actor.name.clone(),
            None if !self.ip.is_empty() => "Somebody".to_owned(),
            None if self.detail.as_deref() == Some("command line") => "The command line".to_owned(),
            None => "The server".to_owned(),
        }
    }

    fn whom(&self) -> String {
        match &self.target {
            Some(user) => user.name.clone(),
            None => "somebody".to_owned(),
        }
    }

    // What was done to oneself reads differently.
    fn is_own(&self) -> bool {
        let actor = self.actor.as_ref().and_then(|actor| actor.id);
        self.target
            .as_ref()
            .is_some_and(|user| actor == Some(user.id))
    }

    fn object(&self, own: &str, whom: &str) -> String {
        if self.is_own() { own } else { whom }.to_owned()
    }

    fn sign_in(&self, whom: &str, detail: &str) -> String {
        if let Some(why) = detail.strip_prefix("single sign-on, ") {
            return match self.outcome {
                AuditOutcome::Success => format!("{whom} signed in by single sign-on, {why}"),
                _ => format!("Somebody tried to sign in by single sign-on and was refused, {why}"),
            };
        }
        let name = match detail.strip_prefix("unknown name ") {
            Some(name) => format!("the unknown name {name}"),
            None if self.target.is_none() => "an unknown name".to_owned(),
            None => whom.to_owned(),
        };
        match self.outcome {
            AuditOutcome::Success => format!("{whom} signed in"),
            AuditOutcome::WrongPassword if self.target.is_none() => {
                format!("Somebody tried to sign in with {name}")
            }
            AuditOutcome::WrongPassword => {
                format!("Somebody tried to sign in as {name} with a wrong password")
            }
            AuditOutcome::Throttled => {
                "Too many sign-ins from one address failed; more were refused for a while"
                    .to_owned()
            }
            _ => format!("Somebody tried to sign in as {name}, {}", self.hindrance()),
        }
    }

    fn ended(&self, who: &str, whom: &str, detail: &str) -> String {
        let (reason, note) = match detail.split_once(": ") {
            Some((reason, note)) => (reason, Some(note)),
            None => (detail, None),
        };
        let own = self.object("one of their own sessions", &format!("a session of {whom}"));
        match EndReason::from_name(reason) {
            Some(EndReason::SignedOut) => format!("{who} signed out"),
            Some(EndReason::Replaced) => format!(
                "A new sign-in of {who} replaced {}",
                self.object("the session before it", &format!("a session of {whom}"))
            ),
            Some(EndReason::EndedByUser | EndReason::EndedByAdministrator) => match note {
                Some(note) => format!("{who} ended {own}: {note}"),
                None => format!("{who} ended {own}"),
            },
            Some(EndReason::IdleTimeout) => {
                format!("A session of {whom} ended: not used for too long")
            }
            Some(reason) => format!("A session of {whom} ended: {}", reason.label(0)),
            None => format!("{who} ended {own}: {detail}"),
        }
    }

    const fn hindrance(&self) -> &'static str {
        match self.outcome {
            AuditOutcome::Success => "and did",
            AuditOutcome::NotPermitted => "which is not permitted",
            AuditOutcome::NotFound => "but there is no such thing within reach",
            AuditOutcome::AlreadyEnded => "which had ended already",
            AuditOutcome::Failed => "but the database refused",
            AuditOutcome::WrongPassword => "with a wrong password",
            AuditOutcome::Locked => "but the account is locked",
            AuditOutcome::Disabled => "but the account is disabled",
            AuditOutcome::Throttled => "too often; more was refused for a while",
            AuditOutcome::Refused => "and was refused",
        }
    }
}

// What was done, and what was tried, with the words that lead to whom it was done to.
const fn verbs(action: AuditAction) -> (&'static str, &'static str) {
    match action {
        AuditAction::SessionCreated => ("began a session of", "begin a session of"),
        AuditAction::SessionEnded => ("ended a session of", "end a session of"),
        AuditAction::SessionsEnded => ("ended all sessions of", "end all sessions of"),
        AuditAction::TokenReused => (
            "used an old copy of a token of",
            "use an old copy of a token of",
        ),
        AuditAction::SignIn => ("signed in as", "sign in as"),
        AuditAction::UserLocked => ("locked the account of", "lock the account of"),
        AuditAction::UserUnlocked => ("unlocked the account of", "unlock the account of"),
        AuditAction::AddressReleased => ("released an address of", "release an address of"),
        AuditAction::UserCreated => ("created the user", "create the user"),
        AuditAction::PasswordChanged => ("changed the password of", "change the password of"),
        AuditAction::Reauthenticated => (
            "entered the password again of",
            "enter the password again of",
        ),
        AuditAction::PasswordReset => ("reset the password of", "reset the password of"),
        AuditAction::PasswordResetAsked => {
            ("asked for a new password of", "ask for a new password of")
        }
        AuditAction::PasswordWithdrawn => (
            "reported a sign-in, which ended all sessions and the password of",
            "report a sign-in of",
        ),
        AuditAction::DeviceNew => (
            "signed in from a new place as",
            "sign in from a new place as",
        ),
        AuditAction::DeviceConfirmed => ("confirmed a sign-in of", "confirm a sign-in of"),
        AuditAction::KeyCreated => ("made an API key of", "make an API key of"),
        AuditAction::KeyRevoked => ("revoked an API key of", "revoke an API key of"),
        AuditAction::ForcedOut => ("logged out", "log out"),
        AuditAction::ClientRegistered => ("registered a client of", "register a client of"),
        AuditAction::ClientDisconnected => ("disconnected a client of", "disconnect a client of"),
        AuditAction::ClientRemoved => ("removed a client of", "remove a client of"),
        AuditAction::ExecutionStarted => ("started an execution of", "start an execution of"),
        AuditAction::ExecutionFinished => ("finished an execution of", "finish an execution of"),
        AuditAction::ExecutionTerminated => {
            ("terminated an execution of", "terminate an execution of")
        }
        AuditAction::HostEntered => ("entered an application as", "enter an application as"),
        AuditAction::IdentityLinked => ("linked the account of", "link the account of"),
        AuditAction::ProviderSignedOut => ("ended sessions of", "end sessions of"),
        AuditAction::ProviderSaved => ("set up a provider for", "set up a provider for"),
        AuditAction::ProviderRemoved => ("removed a provider of", "remove a provider of"),
        AuditAction::CredentialsAmbiguous => ("sent two credentials of", "send two credentials of"),
        AuditAction::SessionRenamed => ("renamed a session of", "rename a session of"),
        AuditAction::SessionsExported => ("exported sessions of", "export sessions of"),
        AuditAction::AuditExported => ("exported events of", "export events of"),
        AuditAction::UserEdited => ("edited the user", "edit the user"),
        AuditAction::UserRolesChanged => ("changed the roles of", "change the roles of"),
        AuditAction::UserMoved => ("moved the user", "move the user"),
        AuditAction::UserDisabled => ("disabled the user", "disable the user"),
        AuditAction::UserEnabled => ("enabled the user", "enable the user"),
        AuditAction::UserDeleted => ("deleted the user", "delete the user"),
        AuditAction::RoleCreated => ("made a role for", "make a role for"),
        AuditAction::RoleEdited => ("edited a role of", "edit a role of"),
        AuditAction::RoleDeleted => ("deleted a role of", "delete a role of"),
        AuditAction::OrganisationCreated => {
            ("made the organisation of", "make the organisation of")
        }
        AuditAction::OrganisationRenamed => {
            ("renamed the organisation of", "rename the organisation of")
        }
        AuditAction::OrganisationDisabled => (
            "disabled the organisation of",
            "disable the organisation of",
        ),
        AuditAction::OrganisationEnabled => {
            ("enabled the organisation of", "enable the organisation of")
        }
        AuditAction::PolicyChanged => ("changed the policy of", "change the policy of"),
        AuditAction::ReceiverCreated => ("made a receiver for", "make a receiver for"),
        AuditAction::ReceiverChanged => ("changed a receiver of", "change a receiver of"),
        AuditAction::ReceiverPaused => ("paused a receiver of", "pause a receiver of"),
        AuditAction::ReceiverResumed => ("went on with a receiver of", "go on with a receiver of"),
        AuditAction::ReceiverRemoved => ("removed a receiver of", "remove a receiver of"),
        AuditAction::ReceiverTested => ("tried out a receiver of", "try out a receiver of"),
        AuditAction::DeliveryReplayed => ("sent an event again of", "send an event again of"),
        AuditAction::BackupRestored => ("restored a backup of", "restore a backup of"),
    }
}

// The same where somebody did it to themselves, or to nobody.
const fn own_verbs(action: AuditAction) -> Option<(&'static str, &'static str)> {
    match action {
        AuditAction::SessionCreated => Some(("began a session", "begin a session")),
        AuditAction::SessionEnded => Some(("ended a session", "end a session")),
        AuditAction::SessionsEnded => Some(("ended sessions", "end sessions")),
        AuditAction::PasswordChanged => Some(("changed their password", "change their password")),
        AuditAction::Reauthenticated => {
            Some(("entered their password again", "enter their password again"))
        }
        AuditAction::PasswordReset => Some(("reset their password", "reset their password")),
        AuditAction::PasswordResetAsked => {
            Some(("asked for a new password", "ask for a new password"))
        }
        AuditAction::PasswordWithdrawn => Some((
            "reported a sign-in as somebody else's, which ended all sessions and the password",
            "report a sign-in as somebody else's",
        )),
        AuditAction::DeviceNew => Some(("signed in from a new place", "sign in from a new place")),
        AuditAction::DeviceConfirmed => Some(("confirmed a sign-in", "confirm a sign-in")),
        AuditAction::KeyCreated => Some(("made an API key", "make an API key")),
        AuditAction::KeyRevoked => Some(("revoked an API key", "revoke an API key")),
        AuditAction::ForcedOut => Some(("logged themselves out", "log themselves out")),
        AuditAction::ClientRegistered => Some(("registered a client", "register a client")),
        AuditAction::ClientDisconnected => Some(("disconnected a client", "disconnect a client")),
        AuditAction::ClientRemoved => Some(("removed a client", "remove a client")),
        AuditAction::ExecutionStarted => Some(("started an execution", "start an execution")),
        AuditAction::ExecutionFinished => Some(("finished an execution", "finish an execution")),
        AuditAction::ExecutionTerminated => {
            Some(("terminated an execution", "terminate an execution"))
        }
        AuditAction::HostEntered => Some(("entered an application", "enter an application")),
        AuditAction::IdentityLinked => Some((
            "was linked to an identity provider",
            "be linked to an identity provider",
        )),
        AuditAction::ProviderSignedOut => Some(("told of a sign-out", "tell of a sign-out")),
        AuditAction::ProviderSaved => {
            Some(("set up an identity provider", "set up an identity provider"))
        }
        AuditAction::ProviderRemoved => Some((
            "removed an identity provider",
            "remove an identity provider",
        )),
        AuditAction::SessionRenamed => Some(("renamed a session", "rename a session")),
        AuditAction::SessionsExported => Some(("exported sessions", "export sessions")),
        AuditAction::RoleCreated => Some(("made a role", "make a role")),
        AuditAction::RoleEdited => Some(("edited a role", "edit a role")),
        AuditAction::RoleDeleted => Some(("deleted a role", "delete a role")),
        AuditAction::OrganisationCreated => Some(("made an organisation", "make an organisation")),
        AuditAction::OrganisationRenamed => {
            Some(("renamed an organisation", "rename an organisation"))
        }
        AuditAction::OrganisationDisabled => {
            Some(("disabled an organisation", "disable an organisation"))
        }
        AuditAction::OrganisationEnabled => {
            Some(("enabled an organisation", "enable an organisation"))
        }
        AuditAction::PolicyChanged => Some(("changed the policy", "change the policy")),
        AuditAction::ReceiverCreated => Some(("made a receiver", "make a receiver")),
        AuditAction::ReceiverChanged => Some(("changed a receiver", "change a receiver")),
        AuditAction::ReceiverPaused => Some(("paused a receiver", "pause a receiver")),
        AuditAction::ReceiverResumed => Some(("went on with a receiver", "go on with a receiver")),
        AuditAction::ReceiverRemoved => Some(("removed a receiver", "remove a receiver")),
        AuditAction::ReceiverTested => Some(("tried out a receiver", "try out a receiver")),
        AuditAction::DeliveryReplayed => Some(("sent an event again", "send an event again")),
        AuditAction::AuditExported => Some(("exported the audit trail", "export the audit trail")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::UserId;
    use crate::session::Actor;
    use crate::time::Timestamp;
    use crate::user::UserRef;

    fn id(number: u8) -> UserId {
        format!("01890a5d-ac96-774b-bcce-b302099a80{number:02}")
            .parse()
            .unwrap()
    }

    fn event(action: AuditAction, outcome: AuditOutcome, detail: &str) -> AuditEvent {
        AuditEvent {
            sequence: 1,
            at: Timestamp(0),
            actor: Some(Actor {
                id: Some(id(1)),
                name: "Ada Admin".into(),
            }),
            target: Some(UserRef {
                id: id(2),
                email: "bo@acme.io".into(),
                name: "Bo Member".into(),
                service_account: false,
            }),
            organisation: None,
            action,
            outcome,
            session: None,
            detail: (!detail.is_empty()).then(|| detail.to_owned()),
            ip: "192.0.2.7".into(),
            user_agent: String::new(),
            request_id: String::new(),
        }
    }

    #[test]
    fn events_read_as_people_would_say_it() {
        use AuditAction as A;
        use AuditOutcome as O;
        for (action, outcome, detail, sentence) in [
            (
                A::SessionEnded,
                O::Success,
                "ended_by_administrator: lost laptop: yes",
                "Ada Admin ended a session of Bo Member: lost laptop: yes",
            ),
            (
                A::SessionEnded,
                O::Success,
                "ended_by_administrator",
                "Ada Admin ended a session of Bo Member",
            ),
            (
                A::SessionEnded,
                O::Success,
                "absolute_timeout",
                "A session of Bo Member ended: reached its time limit",
            ),
            (
                A::SessionEnded,
                O::NotPermitted,
                "",
                "Ada Admin tried to end a session of Bo Member, which is not permitted",
            ),
            (
                A::SessionEnded,
                O::AlreadyEnded,
                "",
                "Ada Admin tried to end a session of Bo Member, which had ended already",
            ),
            (
                A::SessionsEnded,
                O::Success,
                "ended_by_administrator: 3 sessions",
                "Ada Admin ended sessions of Bo Member: 3 sessions",
            ),
            (
                A::SignIn,
                O::WrongPassword,
                "",
                "Somebody tried to sign in as Bo Member with a wrong password",
            ),
            (
                A::SignIn,
                O::Locked,
                "",
                "Somebody tried to sign in as Bo Member, but the account is locked",
            ),
            (
                A::UserLocked,
                O::Success,
                "",
                "The account of Bo Member was locked after too many wrong passwords",
            ),
            (
                A::UserUnlocked,
                O::Success,
                "command line",
                "Ada Admin unlocked the account of Bo Member",
            ),
        ] {
            assert_eq!(event(action, outcome, detail).sentence(), sentence);
        }
        let own = |action, detail: &str| {
            let mut event = event(action, AuditOutcome::Success, detail);
            event.target.as_mut().unwrap().id = id(1);
            event.sentence()
        };
        assert_eq!(
            own(A::SessionEnded, "ended_by_user"),
            "Ada Admin ended one of their own sessions"
        );
        assert_eq!(own(A::SessionEnded, "signed_out"), "Ada Admin signed out");
        assert_eq!(
            own(A::PasswordChanged, "2 other sessions ended"),
            "Ada Admin changed their password: 2 other sessions ended"
        );
        assert_eq!(
            own(A::SessionCreated, "console"),
            "Ada Admin began a session: console"
        );
        let alone = AuditEvent {
            target: None,
            ..event(A::SessionsExported, O::Success, "csv, state=active")
        };
        assert_eq!(
            alone.sentence(),
            "Ada Admin exported sessions: csv, state=active"
        );
        let nobody = AuditEvent {
            actor: None,
            ip: String::new(),
            ..event(A::PasswordReset, O::Success, "command line")
        };
        assert_eq!(
            nobody.sentence(),
            "The command line reset the password of Bo Member"
        );
        let unknown = AuditEvent {
            actor: None,
            target: None,
            ..event(A::SignIn, O::WrongPassword, "unknown name eve@acme.io")
        };
        assert_eq!(
            unknown.sentence(),
            "Somebody tried to sign in with the unknown name eve@acme.io"
        );
    }

    #[test]
    fn every_reason_and_every_combination_has_words() {
        for reason in EndReason::ALL {
            let text = event(
                AuditAction::SessionEnded,
                AuditOutcome::Success,
                reason.as_str(),
            )
            .sentence();
            assert!(!text.contains('_') && !text.contains(": : "), "{text}");
        }
        for action in AuditAction::ALL {
            for outcome in AuditOutcome::ALL {
                let event = event(*action, *outcome, "");
                let text = event.sentence();
                assert!(
                    text.len() > 10 && !text.contains("  ") && !text.contains('_'),
                    "{text}"
                );
                assert!(!event.outcome_words().0.is_empty());
            }
        }
    }
}

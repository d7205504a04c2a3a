//! Audit events in words, with links.

use rollcall_core::{AuditEvent, Timestamp, query};

use crate::routes;

/// An event as the page shows it.
pub(super) struct AuditLine {
    /// When.
    pub(super) at: Timestamp,
    /// What happened, as one sentence.
    pub(super) text: String,
    /// How it went, in a word or two.
    pub(super) outcome: String,
    /// The class of the tag around `outcome`.
    pub(super) tone: String,
    /// The caller's address; empty for the command line and the server itself.
    pub(super) ip: String,
    /// Everything else about it.
    pub(super) facts: Vec<AuditFact>,
}

/// One more thing about an event.
pub(super) struct AuditFact {
    /// What it is.
    pub(super) label: String,
    /// What it says.
    pub(super) text: String,
    /// Links that go with it: what each says, and its path.
    pub(super) links: Vec<(String, String)>,
}

/// An event in words.
pub(super) fn line(event: &AuditEvent) -> AuditLine {
    let (outcome, tone) = event.outcome_words();
    AuditLine {
        at: event.at,
        text: event.sentence(),
        outcome: outcome.to_owned(),
        tone: tone.to_owned(),
        ip: event.ip.clone(),
        facts: facts(event),
    }
}

fn facts(event: &AuditEvent) -> Vec<AuditFact> {
    let mut facts = Vec::new();
    let mut add = |label: &str, text: String, links: Vec<(String, String)>| {
        if !text.is_empty() {
            facts.push(AuditFact {
                label: label.to_owned(),
                text,
                links,
            });
        }
    };
    let events = |name: &str, value: &str, words: String| {
        let query = query::write(&[(name, value.to_owned())]);
        (words, routes::with_query(routes::AUDIT, &query))
    };
    if let Some(actor) = &event.actor {
        let links = actor
            .id
            .map(|id| events("user", &id.to_string(), format!("Events of {}", actor.name)));
        add("Who", actor.name.clone(), links.into_iter().collect());
    }
    if let Some(user) = &event.target {
        let named = format!("{} ({})", user.name, user.email);
        let link = events(
            "user",
            &user.id.to_string(),
            format!("Events of {}", user.name),
        );
        add("To whom", named, vec![link]);
    }
    if let Some(organisation) = &event.organisation {
        add("Organisation", organisation.name.clone(), Vec::new());
    }
    if let Some(session) = event.session {
        let id = session.to_string();
        let links = vec![
            ("Session".to_owned(), routes::session(&id)),
            events("session", &id, "Events of this session".to_owned()),
        ];
        add("Session", id, links);
    }
    let link = events("ip", &event.ip, format!("Events from {}", event.ip));
    add("IP address", event.ip.clone(), vec![link]);
    add("User agent", event.user_agent.clone(), Vec::new());
    add("Action", event.action.as_str().to_owned(), Vec::new());
    add("Outcome", event.outcome.as_str().to_owned(), Vec::new());
    add(
        "Detail",
        event.detail.clone().unwrap_or_default(),
        Vec::new(),
    );
    add("Request", event.request_id.clone(), Vec::new());
    add("Number", event.sequence.to_string(), Vec::new());
    facts
}

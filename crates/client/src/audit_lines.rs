//! Audit events as the page shows them. Written on the server: the browser gets words and links, and need not know
//! of actions.

use rollcall_core::{AuditEvent, AuditFact, AuditLine, Page, query};

use crate::routes;

/// A page of events in words.
pub(crate) fn page(page: Page<AuditEvent>) -> Page<AuditLine> {
    Page {
        items: page.items.iter().map(line).collect(),
        total: page.total,
        total_is_exact: page.total_is_exact,
        page: page.page,
        page_size: page.page_size,
        as_of: page.as_of,
    }
}

fn line(event: &AuditEvent) -> AuditLine {
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

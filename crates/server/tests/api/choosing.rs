//! Signing in where a user has as many sessions as there may be, and may choose which ones end.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use http::Method;
use rollcall_core::{BuiltInRole, SessionId};
use serde_json::json;

use crate::support::{Answer, Client, NewRow, PASSWORD, Person, TestApp, minutes};

both_databases!(
    a_user_ticks_what_ends_and_is_signed_in,
    too_few_ticks_end_nothing_and_can_be_mended,
    everything_can_be_ended_at_once,
    a_ticket_opens_nothing_else,
    a_ticket_is_good_once_and_for_five_minutes,
    what_ends_a_users_sessions_ends_the_ticket_too,
    only_the_last_ticket_of_a_user_is_good,
    where_users_may_not_choose_there_is_no_ticket,
);

const TICKET: &str = "__Host-rollcall-pending=";

struct Full {
    app: TestApp,
    admin: Client,
    nora: Person,
    open: Vec<SessionId>,
}

impl Full {
    /// Sends Nora's sign-in as a plain form would.
    async fn sign_in(&self, browser: &Client, next: &str) -> Answer {
        let fields = [
            ("email", self.nora.email.as_str()),
            ("password", PASSWORD),
            ("next", next),
            ("go", "true"),
        ];
        form(browser, "/rpc/sign_in", None, &fields).await
    }
}

/// Nora has two sessions, and may have two.
async fn full(when_full: &str) -> Full {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let values = json!({ "values": { "most_sessions": 2, "when_full": when_full } });
    admin.patch("/api/v1/policy", values).await.ok();
    let mut open = Vec::new();
    for _ in 0..2 {
        open.push(app.open_session(&nora, NewRow::default()).await.0);
    }
    Full {
        app,
        admin,
        nora,
        open,
    }
}

async fn form(
    browser: &Client,
    path: &str,
    ticket: Option<&str>,
    fields: &[(&str, &str)],
) -> Answer {
    let ask = browser
        .ask(Method::POST, path)
        .header("accept", "text/html")
        .header("referer", "http://localhost:8080/sign-in/choose");
    match ticket {
        Some(ticket) => ask.header("cookie", format!("{TICKET}{ticket}")),
        None => ask,
    }
    .form(fields)
    .await
}

fn ticket_of(answer: &Answer) -> Option<String> {
    answer.cookies().iter().find_map(|line| {
        let (value, _) = line.strip_prefix(TICKET)?.split_once(';')?;
        Some(value.to_owned()).filter(|value| !value.is_empty())
    })
}

async fn ticket(full: &Full, browser: &Client) -> String {
    let answer = full.sign_in(browser, "/account/security").await;
    assert_eq!(answer.status, 303);
    assert_eq!(
        answer.header("location"),
        Some("/sign-in/choose?next=%2Faccount%2Fsecurity")
    );
    assert_eq!(answer.cookie_token(), None);
    ticket_of(&answer).expect("a ticket")
}

/// Finishes as our own client would, so that the error is in the answer.
async fn finish(browser: &Client, ticket: &str, end: &[SessionId]) -> Answer {
    let ids: Vec<_> = end.iter().map(SessionId::to_string).collect();
    let fields: Vec<_> = ids.iter().map(|id| ("end[]", id.as_str())).collect();
    browser
        .ask(Method::POST, "/rpc/finish_sign_in")
        .header("accept", "application/json")
        .header("cookie", format!("{TICKET}{ticket}"))
        .form(&fields)
        .await
}

async fn page(browser: &Client, ticket: &str) -> Answer {
    browser
        .get("/sign-in/choose?next=%2Faccount%2Fsecurity")
        .header("accept", "text/html")
        .header("cookie", format!("{TICKET}{ticket}"))
        .await
}

async fn is_open(app: &TestApp, id: SessionId) -> bool {
    app.stored(id).await.ended.is_none()
}

async fn a_user_ticks_what_ends_and_is_signed_in() {
    let full = full("choose").await;
    let browser = full.app.browser();
    let answer = full.sign_in(&browser, "").await;
    let line = answer
        .cookies()
        .into_iter()
        .find(|line| line.starts_with(TICKET))
        .expect("a ticket");
    let attributes: BTreeSet<_> = line.split("; ").skip(1).collect();
    let strict = [
        "Path=/",
        "Secure",
        "HttpOnly",
        "SameSite=Strict",
        "Max-Age=300",
    ];
    assert_eq!(attributes, BTreeSet::from(strict));
    let ticket = ticket_of(&answer).expect("a ticket");
    let shown = page(&browser, &ticket).await;
    assert_eq!(shown.status, 200);
    for id in &full.open {
        assert!(shown.text().contains(&id.to_string()), "{}", shown.text());
    }
    assert!(shown.text().contains("Make room"));
    assert!(!shown.text().contains(&ticket));
    let chosen = full.open[1].to_string();
    let fields = [
        ("end[]", chosen.as_str()),
        ("next", "/account/security"),
        ("go", "true"),
    ];
    let answer = form(&browser, "/rpc/finish_sign_in", Some(&ticket), &fields).await;
    assert_eq!(answer.header("location"), Some("/account/security"));
    assert!(browser.is_signed_in().await);
    assert!(
        answer
            .cookies()
            .iter()
            .any(|line| line.starts_with(TICKET) && line.ends_with("Max-Age=0"))
    );
    assert!(is_open(&full.app, full.open[0]).await && !is_open(&full.app, full.open[1]).await);
    let told = full
        .admin
        .get(&format!(
            "/api/v1/audit?session={chosen}&action=session.ended"
        ))
        .await
        .ok();
    assert_eq!(told["items"][0]["detail"], "limit");
}

async fn too_few_ticks_end_nothing_and_can_be_mended() {
    let full = full("choose").await;
    let max = full
        .app
        .user(full.nora.organisation, BuiltInRole::Member, "max@acme.test")
        .await;
    let browser = full.app.browser();
    let (others, _) = full.app.open_session(&max, NewRow::default()).await;
    let ticket = ticket(&full, &browser).await;
    // Somebody else's session makes no room.
    for end in [vec![], vec![others]] {
        let refused = finish(&browser, &ticket, &end).await;
        assert_eq!(refused.status, 409, "{}", refused.text());
        assert!(
            refused.text().contains("session_limit"),
            "{}",
            refused.text()
        );
    }
    assert!(is_open(&full.app, others).await);
    for id in &full.open {
        assert!(is_open(&full.app, *id).await);
    }
    let back = form(
        &browser,
        "/rpc/finish_sign_in",
        Some(&ticket),
        &[("go", "true")],
    )
    .await;
    let back = back.header("location").expect("where to").to_owned();
    assert!(back.starts_with("/sign-in/choose?"), "{back}");
    let told = browser
        .get(&back)
        .header("accept", "text/html")
        .header("cookie", format!("{TICKET}{ticket}"))
        .await;
    assert!(told.text().contains("Tick 1 or more"), "{}", told.text());
    assert_eq!(finish(&browser, &ticket, &full.open[..1]).await.status, 200);
    assert!(browser.is_signed_in().await);
}

async fn everything_can_be_ended_at_once() {
    let full = full("choose").await;
    let browser = full.app.browser();
    let ticket = ticket(&full, &browser).await;
    let fields = [("all", "true"), ("go", "true")];
    let answer = form(&browser, "/rpc/finish_sign_in", Some(&ticket), &fields).await;
    assert_eq!(answer.header("location"), Some("/"));
    for id in &full.open {
        assert!(!is_open(&full.app, *id).await);
    }
    assert!(browser.is_signed_in().await);
}

async fn a_ticket_opens_nothing_else() {
    let full = full("choose").await;
    let browser = full.app.browser();
    let ticket = ticket(&full, &browser).await;
    let with_ticket = browser
        .get("/api/v1/me")
        .header("cookie", format!("{TICKET}{ticket}"))
        .await;
    with_ticket.problem(401, "unauthenticated");
    for held in [ticket.clone(), ticket.replace("rc_p_", "rc_s_")] {
        assert!(!full.app.holding(&held).is_signed_in().await);
        let program = full.app.anonymous();
        let asked = program.get("/api/v1/me");
        asked
            .header("authorization", format!("Bearer {held}"))
            .await
            .problem(401, "unauthenticated");
    }
    // A session's token is no ticket either, and two tickets are none.
    let (_, token) = full.app.open_session(&full.nora, NewRow::default()).await;
    for cookie in [
        format!("{TICKET}{token}"),
        format!("{TICKET}{ticket}; {TICKET}{ticket}"),
        TICKET.to_owned(),
    ] {
        let ask = full.app.browser();
        let answer = ask
            .ask(Method::POST, "/rpc/finish_sign_in")
            .header("accept", "application/json")
            .header("cookie", &cookie)
            .form(&[("all", "true")])
            .await;
        assert_eq!(answer.status, 409, "{}", answer.text());
        assert!(answer.text().contains("choice_spent"), "{}", answer.text());
    }
    // Nor is it taken from another site.
    let elsewhere = full.app.anonymous();
    let foreign = elsewhere
        .ask(Method::POST, "/rpc/finish_sign_in")
        .header("origin", "https://evil.example")
        .header("cookie", format!("{TICKET}{ticket}"))
        .form(&[("all", "true")])
        .await;
    assert_eq!(foreign.status, 403);
    assert!(is_open(&full.app, full.open[0]).await);
}

async fn a_ticket_is_good_once_and_for_five_minutes() {
    let full = full("choose").await;
    let browser = full.app.browser();
    let first = ticket(&full, &browser).await;
    let browsers: Vec<_> = (0..20).map(|_| full.app.browser()).collect();
    let answers = join_all(
        browsers
            .iter()
            .map(|browser| finish(browser, &first, &full.open)),
    )
    .await;
    let done = answers.iter().filter(|answer| answer.status == 200);
    assert_eq!(done.count(), 1);
    for refused in answers.iter().filter(|answer| answer.status != 200) {
        assert_eq!(refused.status, 409, "{}", refused.text());
        assert!(
            refused.text().contains("choice_spent"),
            "{}",
            refused.text()
        );
    }
    full.app.open_session(&full.nora, NewRow::default()).await;
    let second = ticket(&full, &browser).await;
    full.app.advance(minutes(5));
    let late = finish(&browser, &second, &full.open).await;
    assert!(late.text().contains("choice_spent"), "{}", late.text());
    let told = page(&browser, &second).await;
    assert!(told.text().contains("Sign in again"), "{}", told.text());
}

async fn what_ends_a_users_sessions_ends_the_ticket_too() {
    let full = full("choose").await;
    let nora = format!("/api/v1/users/{}", full.nora.id);
    let acts: [&[(Method, String, Option<serde_json::Value>)]; 3] = [
        &[(Method::DELETE, format!("{nora}/sessions"), None)],
        &[
            (
                Method::PATCH,
                nora.clone(),
                Some(json!({ "enabled": false })),
            ),
            (
                Method::PATCH,
                nora.clone(),
                Some(json!({ "enabled": true })),
            ),
        ],
        &[(
            Method::POST,
            "/api/v1/sessions/end-all".to_owned(),
            Some(json!({ "scope": "organisation", "id": full.nora.organisation })),
        )],
    ];
    for acts in acts {
        full.app.advance(minutes(1));
        let mut open = Vec::new();
        for _ in 0..2 {
            open.push(full.app.open_session(&full.nora, NewRow::default()).await.0);
        }
        let browser = full.app.browser();
        let ticket = ticket(&full, &browser).await;
        for (method, path, body) in acts {
            let ask = full.admin.ask(method.clone(), path);
            let answer = match body {
                Some(body) => ask.json(body).await,
                None => ask.await,
            };
            assert!(
                (200..300).contains(&answer.status),
                "{path}: {}",
                answer.text()
            );
        }
        let refused = finish(&browser, &ticket, &open).await;
        assert_eq!(refused.status, 409, "{acts:?}: {}", refused.text());
        assert!(
            refused.text().contains("choice_spent"),
            "{}",
            refused.text()
        );
        assert!(!browser.is_signed_in().await);
    }
    // So do a lock and another password.
    full.app.advance(minutes(1));
    for _ in 0..2 {
        full.app.open_session(&full.nora, NewRow::default()).await;
    }
    let browser = full.app.browser();
    let before = ticket(&full, &browser).await;
    for _ in 0..5 {
        browser
            .sign_in_as(&full.nora.email, "not this one at all")
            .await;
    }
    let refused = finish(&browser, &before, &[]).await;
    assert!(
        refused.text().contains("choice_spent"),
        "{}",
        refused.text()
    );
    full.admin.post(&format!("{nora}/unlock"), json!({})).await;
    let before = ticket(&full, &browser).await;
    let reset = full
        .admin
        .post(&format!("{nora}/reset-password"), json!({}))
        .await;
    assert!((200..300).contains(&reset.status), "{}", reset.text());
    let refused = finish(&browser, &before, &[]).await;
    assert!(
        refused.text().contains("choice_spent"),
        "{}",
        refused.text()
    );
}

async fn only_the_last_ticket_of_a_user_is_good() {
    let full = full("choose").await;
    let (one, two) = (full.app.browser(), full.app.browser());
    let first = ticket(&full, &one).await;
    let second = ticket(&full, &two).await;
    let refused = finish(&one, &first, &full.open).await;
    assert!(
        refused.text().contains("choice_spent"),
        "{}",
        refused.text()
    );
    assert_eq!(finish(&two, &second, &full.open).await.status, 200);
}

async fn where_users_may_not_choose_there_is_no_ticket() {
    let full = full("refuse").await;
    let browser = full.app.browser();
    let answer = full.sign_in(&browser, "").await;
    assert_eq!(ticket_of(&answer), None);
    let back = answer.header("location").expect("where to");
    assert!(!back.starts_with("/sign-in/choose?next"), "{back}");
    // Nor for the API, where the list is in the answer.
    let values = json!({ "values": { "when_full": "choose" } });
    full.admin.patch("/api/v1/policy", values).await.ok();
    let answer = browser.sign_in(&full.nora).await;
    assert_eq!(ticket_of(&answer), None);
    assert_eq!(
        answer.problem(409, "session_limit")["sessions"]
            .as_array()
            .map(Vec::len),
        Some(2)
    );
}

//! Pages as a browser without scripts gets them.

use rollcall_core::{BuiltInRole, EndReason};
use serde_json::json;

use crate::support::{Answer, Client, NewRow, PASSWORD, TestApp, minutes};

both_databases!(
    the_sign_in_page_says_once_why_a_session_ended,
    the_reason_comes_from_the_token_and_never_from_the_address,
    everyone_is_sent_where_they_belong,
    whoever_must_change_the_password_is_sent_there,
    pages_hold_their_data,
    pages_show_nothing_of_another_organisation,
    pages_that_are_not_there_or_not_allowed_say_so,
    signing_in_and_out_works_without_scripts,
    ending_works_without_scripts,
    a_form_never_leads_elsewhere,
    markup_in_names_stays_text_on_pages,
);

async fn page(client: &Client, path: &str) -> Answer {
    client
        .get(path)
        .header("accept", "text/html,application/xhtml+xml")
        .await
}

async fn form(client: &Client, path: &str, fields: &[(&str, &str)]) -> Answer {
    client
        .ask(http::Method::POST, path)
        .header("accept", "text/html,application/xhtml+xml")
        .form(fields)
        .await
}

#[track_caller]
fn leads_to(answer: &Answer, path: &str) {
    assert_eq!(
        (answer.status, answer.header("location")),
        (303, Some(path)),
        "{}",
        answer.text()
    );
}

// The text as people read it: entities and Leptos's own comments gone.
fn words(answer: &Answer) -> String {
    let mut text = answer
        .text()
        .replace("&#39;", "'")
        .replace("&#x27;", "'")
        .replace("&quot;", "\"")
        .replace("&amp;", "&");
    while let Some(start) = text.find("<!--") {
        let end = text[start..]
            .find("-->")
            .map_or(text.len(), |end| start + end + 3);
        text.replace_range(start..end, "");
    }
    text
}

async fn the_sign_in_page_says_once_why_a_session_ended() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    for reason in [
        EndReason::EndedByAdministrator,
        EndReason::PasswordReset,
        EndReason::IdleTimeout,
        EndReason::TokenReuse,
        EndReason::SignedOut,
    ] {
        let admin_again = app.browser_of(&app.admin().await).await;
        let browser = app.browser_of(&nora).await;
        let id = browser.session_id().await;
        let first = browser.token().expect("a token");
        match reason {
            EndReason::EndedByAdministrator => admin_again
                .delete(&format!("/api/v1/sessions/{id}"))
                .await
                .done(),
            EndReason::PasswordReset => {
                app.service()
                    .reset_password(&nora.email)
                    .await
                    .expect("she exists");
                app.sql("UPDATE \"user\" SET password_change_required = FALSE")
                    .await;
                app.advance(minutes(1));
            }
            EndReason::IdleTimeout => app.advance(minutes(31)),
            EndReason::TokenReuse => {
                for _ in 0..3 {
                    app.advance(minutes(6));
                    assert!(browser.is_signed_in().await);
                }
                assert!(!app.holding(&first).is_signed_in().await);
            }
            _ => app
                .holding(&first)
                .ask(http::Method::POST, "/api/v1/sign-out")
                .await
                .done(),
        }
        let away = page(&browser, "/account/sessions?page=2").await;
        leads_to(&away, "/sign-in?next=%2Faccount%2Fsessions%3Fpage%3D2");
        assert_eq!(
            away.cookies(),
            Vec::<String>::new(),
            "the cookie is kept for the sign-in page"
        );
        browser
            .get("/api/v1/me")
            .await
            .problem(401, "unauthenticated");
        let told = page(&browser, "/sign-in?next=%2Faccount%2Fsessions").await;
        assert_eq!(told.status, 200);
        assert!(
            words(&told).contains(reason.explanation()),
            "{reason:?}: {}",
            words(&told)
        );
        assert!(told.expires_cookie(), "{reason:?}: {:?}", told.cookies());
        assert_eq!(browser.token(), None);
        let again = page(&browser, "/sign-in").await;
        assert!(!words(&again).contains(reason.explanation()), "{reason:?}");
        assert_eq!(again.cookies(), Vec::<String>::new());
    }
    drop(admin);
}

async fn the_reason_comes_from_the_token_and_never_from_the_address() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let (id, token) = app.open_session(&nora, NewRow::default()).await;
    app.store_end(id, EndReason::EndedByAdministrator).await;
    let text = EndReason::EndedByAdministrator.explanation();
    for path in [
        format!("/sign-in?reason=ended_by_administrator&session={id}"),
        "/sign-in?error=Call+1-800-EVIL&message=EVIL&__err=EVIL".to_owned(),
    ] {
        let answer = page(&app.browser(), &path).await;
        assert!(!words(&answer).contains(text));
        let shown = words(&answer).replace(&path, "");
        assert!(
            !shown
                .split("<main")
                .nth(1)
                .unwrap_or_default()
                .contains("EVIL"),
            "{shown}"
        );
    }
    // Somebody who knows the lineage, not the secret, is told nothing.
    let browser = app.browser();
    browser.hold(&format!("{}{}", &token[..27], "A".repeat(42)));
    assert!(!words(&page(&browser, "/sign-in").await).contains(text));
}

async fn everyone_is_sent_where_they_belong() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let member = app.browser_of(&nora).await;
    leads_to(&page(&app.browser(), "/").await, "/sign-in");
    leads_to(
        &page(&app.browser(), "/sessions?q=a&sort=-duration").await,
        "/sign-in?next=%2Fsessions%3Fq%3Da%26sort%3D-duration",
    );
    leads_to(&page(&admin, "/").await, "/sessions");
    leads_to(&page(&member, "/").await, "/account/sessions");
}

async fn whoever_must_change_the_password_is_sent_there() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let acme = app.organisation("Acme").await;
    let ada = app
        .newcomer(acme, BuiltInRole::Administrator, "ada@acme.test")
        .await;
    let browser = app.browser_of(&ada).await;
    for path in ["/", "/sessions", "/account/sessions"] {
        leads_to(&page(&browser, path).await, "/account/security");
    }
    assert_eq!(page(&browser, "/account/security").await.status, 200);
    let new = "nine loud geese before dawn";
    let fields = [
        ("current_password", PASSWORD),
        ("new_password", new),
        ("repeat_password", new),
        ("go", "true"),
    ];
    let changed = form(&browser, "/rpc/change_password", &fields).await;
    assert_eq!(changed.status, 303, "{}", changed.text());
    assert_eq!(page(&browser, "/sessions").await.status, 200);
}

async fn pages_hold_their_data() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let mut ids = Vec::new();
    for number in 0..25 {
        let row = NewRow {
            name: format!("kestrel number {number:02}"),
            ip: format!("2001:db8:77::{number}"),
            ..NewRow::default()
        };
        ids.push(app.open_session(&nora, row).await.0);
        app.advance(std::time::Duration::from_secs(1));
    }
    let list = page(&admin, "/sessions").await;
    assert_eq!(list.status, 200);
    let text = words(&list);
    for word in [
        "nora@acme.test",
        "kestrel number 24",
        "2001:db8:77::24",
        "Total 26 items",
        "2026-11-22 09:00:24",
    ] {
        assert!(text.contains(word), "{word}: {text}");
    }
    assert!(!text.contains("kestrel number 09"), "it is on another page");
    // The one that asks is the oldest.
    assert!(!text.contains("Current session"));
    assert!(words(&page(&admin, "/sessions?page=3").await).contains("Current session"));
    let found = words(
        &page(
            &admin,
            "/sessions?q=KESTREL+number+1&page_size=50&sort=name",
        )
        .await,
    );
    assert!(
        found.contains("kestrel number 10")
            && found.contains("Total 10 items")
            && !found.contains("kestrel number 20")
    );
    let one = words(&page(&admin, &format!("/sessions/{}", ids[3])).await);
    assert!(
        one.contains("kestrel number 03")
            && one.contains("2001:db8:77::3")
            && one.contains(&ids[3].to_string())
    );
    let mine = words(&page(&app.browser_of(&nora).await, "/account/sessions").await);
    assert!(mine.contains("kestrel number 24") && !mine.contains(TestApp::ADMIN));
    for path in [
        "/sessions",
        "/account/sessions",
        "/account/security",
        &format!("/sessions/{}", ids[3]),
        &format!("/sessions/{}/end", ids[3]),
    ] {
        let answer = page(&admin, path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(!answer.text().contains("rc_s_"), "{path}");
    }
}

async fn pages_show_nothing_of_another_organisation() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let ada = app.administrator_beside(&nora).await;
    let eve = app.stranger().await;
    let (foreign, _) = app
        .open_session(
            &eve,
            NewRow {
                name: "Kestrel".into(),
                ..NewRow::default()
            },
        )
        .await;
    let ada = app.browser_of(&ada).await;
    for path in [
        "/sessions".to_owned(),
        "/sessions?q=eve".to_owned(),
        "/sessions?q=kestrel".to_owned(),
        format!("/sessions/{foreign}"),
        format!("/sessions/{foreign}/end"),
    ] {
        let answer = page(&ada, &path).await;
        let text = answer
            .text()
            .replace(&path, "")
            .replace(&foreign.to_string(), "");
        for word in ["eve@globex.test", "Globex", "Kestrel", TestApp::ADMIN] {
            assert!(!text.contains(word), "{path} tells {word}: {text}");
        }
        assert_eq!(
            answer.status,
            if path.contains(&foreign.to_string()) {
                404
            } else {
                200
            },
            "{path}"
        );
    }
}

async fn pages_that_are_not_there_or_not_allowed_say_so() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let member = app.browser_of(&nora).await;
    for (client, path, status) in [
        (&admin, "/nothing".to_owned(), 404),
        (&admin, "/sessions/x".to_owned(), 404),
        (
            &admin,
            format!("/sessions/{}", crate::support::unknown_id()),
            404,
        ),
        (&member, "/sessions".to_owned(), 403),
        (
            &member,
            format!("/sessions/{}", crate::support::unknown_id()),
            403,
        ),
        (
            &member,
            format!("/account/sessions/{}/end", crate::support::unknown_id()),
            404,
        ),
    ] {
        let answer = page(client, &path).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        assert!(
            answer
                .header("content-type")
                .is_some_and(|kind| kind.starts_with("text/html")),
            "{path}"
        );
        let id = answer.header("x-request-id").expect("an id").to_owned();
        assert!(answer.text().contains(&id), "{path} shows the request's id");
    }
}

async fn signing_in_and_out_works_without_scripts() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let browser = app.browser();
    let wrong = [
        ("email", nora.email.as_str()),
        ("password", "a wrong password"),
        ("go", "true"),
    ];
    let refused = browser
        .ask(http::Method::POST, "/rpc/sign_in")
        .header("accept", "text/html")
        .header(
            "referer",
            "http://localhost:8080/sign-in?next=%2Faccount%2Fsecurity",
        )
        .form(&wrong)
        .await;
    assert_eq!(refused.status, 303);
    let back = refused.header("location").expect("where to").to_owned();
    assert!(back.starts_with("/sign-in?"), "{back}");
    assert!(!back.contains("password="), "{back}");
    let told = page(&browser, &back).await;
    assert!(
        words(&told).contains("E-mail or password is wrong, or the account is locked or disabled"),
        "{}",
        words(&told)
    );
    let right = [
        ("email", nora.email.as_str()),
        ("password", PASSWORD),
        ("next", "/account/security"),
        ("go", "true"),
    ];
    let answer = form(&browser, "/rpc/sign_in", &right).await;
    leads_to(&answer, "/account/security");
    assert!(answer.cookie_token().is_some());
    assert_eq!(page(&browser, "/account/security").await.status, 200);
    let answer = form(&browser, "/rpc/sign_out", &[("go", "true")]).await;
    leads_to(&answer, "/sign-in");
    assert!(answer.expires_cookie());
    leads_to(
        &page(&browser, "/account/security").await,
        "/sign-in?next=%2Faccount%2Fsecurity",
    );
}

async fn ending_works_without_scripts() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let (id, token) = app.open_session(&nora, NewRow::default()).await;
    let text = id.to_string();
    let confirm = page(&admin, &format!("/sessions/{id}/end")).await;
    assert_eq!(confirm.status, 200);
    let shown = words(&confirm);
    assert!(
        shown.contains("nora@acme.test")
            && shown.contains("203.0.113.7")
            && shown.contains("Firefox"),
        "{shown}"
    );
    assert!(shown.contains("/rpc/end_session"), "{shown}");
    let answer = form(
        &admin,
        "/rpc/end_session",
        &[("session", &text), ("reason", "lost"), ("go", "true")],
    )
    .await;
    assert_eq!(answer.status, 303, "{}", answer.text());
    assert!(!app.holding(&token).is_signed_in().await);
    assert_eq!(
        admin.get(&format!("/api/v1/sessions/{id}")).await.ok()["ended"]["note"],
        json!("lost")
    );
    // Ending one's own signs out.
    let own = admin.session_id().await.to_string();
    let answer = form(
        &admin,
        "/rpc/end_session",
        &[("session", &own), ("go", "true")],
    )
    .await;
    leads_to(&answer, "/sign-in");
    assert!(answer.expires_cookie());
}

async fn a_form_never_leads_elsewhere() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    for next in [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example/",
        "/\t/evil.example",
        "javascript:alert(1)",
        "/%0d%0aSet-Cookie:x=y",
        "evil",
        "/@evil.example\r\nx",
    ] {
        let fields = [
            ("email", nora.email.as_str()),
            ("password", PASSWORD),
            ("next", next),
            ("go", "true"),
        ];
        let answer = form(&app.browser(), "/rpc/sign_in", &fields).await;
        let target = answer.header("location").expect("where to");
        assert_eq!(answer.status, 303, "{next}");
        assert!(
            target.starts_with('/')
                && !target.starts_with("//")
                && !target.contains('\\')
                && !target.contains("://"),
            "{next}: {target}"
        );
        let with_referer = app.browser();
        let ask = with_referer
            .ask(http::Method::POST, "/rpc/sign_in")
            .header("accept", "text/html")
            .header("referer", "https://evil.example//evil.example");
        let answer = ask
            .form(&[("email", "x@y"), ("password", "z"), ("next", next)])
            .await;
        let target = answer.header("location").expect("where to");
        assert!(
            target.starts_with('/')
                && !target.starts_with("//")
                && !target.contains("evil.example//"),
            "{next}: {target}"
        );
        let shown = page(
            &app.browser(),
            &format!("/sign-in?next={}", rollcall_core::query::encode(next)),
        )
        .await;
        assert!(
            !shown.text().contains("href=\"//") && !shown.text().contains("href=\"javascript"),
            "{next}"
        );
    }
}

async fn markup_in_names_stays_text_on_pages() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let row = NewRow {
        name: "</script><script>alert(1)</script>\"'><img src=x onerror=alert(1)>".into(),
        user_agent: "<!--</title><svg onload=alert(2)>".into(),
        browser: "<b>bold".into(),
        ..NewRow::default()
    };
    let (id, _) = app.open_session(&nora, row).await;
    for path in [
        "/sessions".to_owned(),
        "/sessions?q=%3C%2Fscript%3E%3Cscript%3Ealert".to_owned(),
        format!("/sessions/{id}"),
        format!("/sessions/{id}/end"),
    ] {
        let answer = page(&admin, &path).await;
        let text = answer.text();
        for raw in ["<script>alert", "<img src=x", "<svg onload", "<b>bold"] {
            assert!(!text.contains(raw), "{path}: {raw}: {text}");
        }
        assert!(text.contains("&lt;"), "{path}");
        let title = text
            .split("<title>")
            .nth(1)
            .and_then(|rest| rest.split("</title>").next())
            .expect("a title");
        assert!(!title.contains('<'), "{path}: {title}");
    }
}

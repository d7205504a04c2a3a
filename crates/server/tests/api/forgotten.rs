//! Forgotten passwords: one answer for every address, and a link that sets one password.

use futures_util::future::join_all;
use http::Method;
use rollcall_core::{BuiltInRole, Permission};
use sea_orm::{ConnectionTrait, Statement};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::mail::{NEW, ask, mails, reset_mail, with_mail};
use crate::support::mailbox::Mail;
use crate::support::{Answer, Client, NewRow, PASSWORD, Person, TestApp, hours, minutes};

both_databases!(
    a_link_sets_a_password_once_and_ends_everything,
    looking_at_a_link_changes_nothing,
    a_form_without_scripts_does_the_same,
    every_address_gets_the_same_answer,
    a_link_is_good_for_an_hour,
    what_changes_an_account_makes_its_links_void,
    of_parallel_uses_of_a_link_one_wins,
    a_reset_lifts_no_lock,
    a_user_is_written_three_links_an_hour,
    an_address_asks_so_often_and_no_more,
    only_the_hash_of_a_link_is_stored,
    a_new_password_follows_the_rules,
);

async fn reset(client: &Client, secret: &str, password: &str) -> Answer {
    let body = json!({ "link": secret, "new_password": password });
    client.post("/api/v1/reset-password", body).await
}

async fn page(client: &Client, path: &str) -> Answer {
    client
        .ask(Method::GET, path)
        .header("accept", "text/html")
        .await
}

async fn a_link_sets_a_password_once_and_ends_everything() {
    let (app, mailbox, _) = with_mail(&[]).await;
    let nora = app.member().await;
    let max = app
        .user(nora.organisation, BuiltInRole::Member, "max@acme.test")
        .await;
    let (hers, his) = (app.browser_of(&nora).await, app.browser_of(&max).await);
    let (_, key) = app.api_key(&nora, &[Permission::ClientsRegister]).await;
    assert!(app.holding(&key).is_signed_in().await);
    app.advance(minutes(1));
    let mail = reset_mail(&app, &mailbox, &nora).await;
    assert_eq!(mail.to, ["nora@acme.test"]);
    assert_eq!(mail.header("Auto-Submitted"), Some("auto-generated"));
    app.advance(minutes(1));
    let anon = app.anonymous();
    let done = reset(&anon, &mail.secret(), NEW).await;
    done.done();
    assert!(done.cookies().is_empty(), "nobody is signed in by it");
    assert!(!hers.is_signed_in().await);
    assert!(!app.holding(&key).is_signed_in().await);
    assert!(his.is_signed_in().await);
    anon.sign_in_as(&nora.email, PASSWORD)
        .await
        .problem(401, "sign_in_failed");
    reset(&anon, &mail.secret(), "six proud storks at noon")
        .await
        .problem(404, "not_found");
    app.advance(minutes(1));
    app.browser().sign_in_as(&nora.email, NEW).await.ok();
    let events = app.events_of("password.reset").await;
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0]["actor"]["id"], json!(nora.id));
    assert_eq!(events[0]["target"]["id"], json!(nora.id));
}

async fn looking_at_a_link_changes_nothing() {
    let (app, mailbox, _) = with_mail(&[]).await;
    let nora = app.member().await;
    let hers = app.browser_of(&nora).await;
    let mail = reset_mail(&app, &mailbox, &nora).await;
    let link = mail.link().expect("a link");
    assert!(link.starts_with("/reset-password/rc_r_"), "{link}");
    let before = app.rows().await;
    for _ in 0..3 {
        let shown = page(&app.browser(), &link).await;
        assert_eq!(shown.status, 200);
        assert!(shown.text().contains("Set a new password"));
        assert!(shown.text().contains(&nora.email));
        assert_eq!(shown.header("cache-control"), Some("no-store"));
        assert_eq!(shown.header("referrer-policy"), Some("same-origin"));
        assert!(shown.cookies().is_empty());
        // Also where somebody is signed in, whoever that is.
        assert!(
            page(&hers, &link)
                .await
                .text()
                .contains("Set a new password")
        );
        let head = app.browser().ask(Method::HEAD, &link).await;
        assert_eq!(head.status, 200);
    }
    assert_eq!(app.rows().await, before);
    assert!(hers.is_signed_in().await);
    app.browser().sign_in(&nora).await.ok();
    reset(&app.anonymous(), &mail.secret(), NEW).await.done();
    let spent = page(&app.browser(), &link).await;
    assert!(
        spent.text().contains("not good any more"),
        "{}",
        spent.text()
    );
    assert!(!spent.text().contains(&nora.email));
}

async fn a_form_without_scripts_does_the_same() {
    let (app, mailbox, _) = with_mail(&[]).await;
    let nora = app.member().await;
    let browser = app.browser();
    let form = page(&browser, "/forgot-password").await;
    assert!(
        form.text().contains("/rpc/ask_password_reset"),
        "{}",
        form.text()
    );
    let send = async |path: &str, from: &str, fields: &[(&str, &str)]| {
        browser
            .ask(Method::POST, path)
            .header("accept", "text/html")
            .header("referer", format!("http://localhost:8080{from}"))
            .form(fields)
            .await
    };
    let there = |answer: &Answer| {
        assert_eq!(answer.status, 303);
        answer.header("location").expect("a way").to_owned()
    };
    let fields = [("email", nora.email.as_str())];
    let asked = there(&send("/rpc/ask_password_reset", "/forgot-password", &fields).await);
    assert_eq!(asked, "/forgot-password?asked=true");
    assert!(page(&browser, &asked).await.text().contains("on its way"));
    let wrong = send(
        "/rpc/ask_password_reset",
        "/forgot-password",
        &[("email", "x")],
    )
    .await;
    let wrong = page(&browser, &there(&wrong)).await.text();
    assert!(wrong.contains("E-mail cannot be read"), "{wrong}");
    let [mail] = mails(&app, &mailbox).await.try_into().expect("one mail");
    let (link, secret) = (mail.link().expect("a link"), mail.secret());
    let set = async |new: &str, again: &str| {
        let fields = [
            ("link", secret.as_str()),
            ("new_password", new),
            ("repeat_password", again),
        ];
        there(&send("/rpc/reset_password_by_link", &link, &fields).await)
    };
    let shown = page(&browser, &set(NEW, "something else").await)
        .await
        .text();
    assert!(shown.contains("does not match"), "{shown}");
    let shown = page(&browser, &set("short", "short").await).await.text();
    assert!(shown.contains("needs at least 15 characters"), "{shown}");
    assert_eq!(set(NEW, NEW).await, "/reset-password");
    let done = page(&browser, "/reset-password").await;
    assert!(done.text().contains("Sign in with your new password"));
    let again = page(&browser, &set(NEW, NEW).await).await.text();
    assert!(again.contains("not good any more"), "{again}");
    browser.sign_in_as(&nora.email, NEW).await.ok();
}

async fn every_address_gets_the_same_answer() {
    let (app, mailbox, admin) = with_mail(&[]).await;
    let nora = app.member().await;
    let person = async |name: &str| {
        let email = format!("{name}@acme.test");
        app.user(nora.organisation, BuiltInRole::Member, &email)
            .await
    };
    let disabled = person("disabled").await;
    let body = json!({ "enabled": false });
    let path = format!("/api/v1/users/{}", disabled.id);
    admin.patch(&path, body).await.ok();
    let locked = person("locked").await;
    for _ in 0..5 {
        app.anonymous()
            .sign_in_as(&locked.email, "a wrong password")
            .await
            .problem(401, "sign_in_failed");
    }
    mails(&app, &mailbox).await;
    let (program, elsewhere) = (person("program").await, person("elsewhere").await);
    app.sql("UPDATE \"user\" SET service_account = true WHERE email = 'program@acme.test'")
        .await;
    app.sql("UPDATE \"user\" SET password_hash = NULL, password_changed_at = NULL WHERE email = 'elsewhere@acme.test'")
        .await;
    let emails = [
        nora.email.as_str(),
        " NORA@acme.test ",
        "nobody@acme.test",
        &disabled.email,
        &locked.email,
        &program.email,
        &elsewhere.email,
    ];
    let bytes = |answer: Answer| {
        let mut headers = answer.headers;
        headers.remove("x-request-id");
        (answer.status, format!("{headers:?}"), answer.body)
    };
    let before = app.rows().await;
    let (mut by_api, mut by_form) = (Vec::new(), Vec::new());
    for email in emails {
        let body = json!({ "email": email });
        let client = app.anonymous();
        by_api.push(bytes(client.post("/api/v1/forgot-password", body).await));
        let form = app
            .browser()
            .ask(Method::POST, "/rpc/ask_password_reset")
            .header("accept", "text/html")
            .form(&[("email", email)])
            .await;
        by_form.push(bytes(form));
    }
    // Nobody has looked yet who they are: what has not happened takes no time.
    assert_eq!(app.rows().await, before);
    assert_eq!(app.count("mail_letter").await, 1);
    assert_eq!(by_api[0].0, 204);
    assert_eq!(by_form[0].0, 303);
    for answers in [by_api, by_form] {
        assert!(answers.iter().all(|answer| *answer == answers[0]));
    }
    let mut to: Vec<_> = mails(&app, &mailbox)
        .await
        .into_iter()
        .flat_map(|mail| mail.to)
        .collect();
    to.sort();
    // Two doors each, and three an hour at most.
    let (three, two) = (["nora@acme.test"; 3], ["locked@acme.test"; 2]);
    assert_eq!(to, [&two[..], &three[..]].concat());
    let mut outcomes: Vec<_> = app
        .events_of("password.reset_asked")
        .await
        .into_iter()
        .map(|event| event["outcome"].as_str().expect("a word").to_owned())
        .collect();
    outcomes.sort();
    assert_eq!(
        outcomes,
        [
            "disabled",
            "disabled",
            "not_found",
            "not_found",
            "refused",
            "refused",
            "refused",
            "refused",
            "success",
            "success",
            "success",
            "success",
            "success",
            "throttled"
        ]
    );
}

async fn a_link_is_good_for_an_hour() {
    let (app, mailbox, _) = with_mail(&[]).await;
    let nora = app.member().await;
    let mail = reset_mail(&app, &mailbox, &nora).await;
    let link = mail.link().expect("a link");
    app.advance(minutes(59));
    let shown = page(&app.browser(), &link).await;
    assert!(shown.text().contains("Set a new password"));
    app.advance(minutes(1));
    let shown = page(&app.browser(), &link).await;
    assert!(shown.text().contains("not good any more"));
    reset(&app.anonymous(), &mail.secret(), NEW)
        .await
        .problem(404, "not_found");
    app.browser().sign_in(&nora).await.ok();
}

async fn what_changes_an_account_makes_its_links_void() {
    let (app, mailbox, admin) = with_mail(&[]).await;
    let acme = app.organisation("Acme").await;
    let person = async |name: &str| {
        let email = format!("{name}@acme.test");
        let person = app.user(acme, BuiltInRole::Member, &email).await;
        let mail = reset_mail(&app, &mailbox, &person).await;
        (person, mail)
    };
    let path = |person: &Person| format!("/api/v1/users/{}", person.id);
    let void = async |mail: &Mail| {
        let secret = mail.secret();
        reset(&app.anonymous(), &secret, NEW)
            .await
            .problem(404, "not_found");
        let shown = page(&app.browser(), &mail.link().expect("a link")).await;
        assert!(shown.text().contains("not good any more"));
        mailbox.empty();
    };
    let (changed, mail) = person("changed").await;
    let browser = app.browser_of(&changed).await;
    let body = json!({ "current_password": PASSWORD, "new_password": NEW });
    browser.post("/api/v1/me/password", body).await.done();
    mails(&app, &mailbox).await;
    void(&mail).await;

    let (by_admin, mail) = person("reset").await;
    let reset_path = format!("{}/reset-password", path(&by_admin));
    admin.post(&reset_path, json!({})).await.ok();
    mails(&app, &mailbox).await;
    void(&mail).await;

    let (disabled, mail) = person("disabled").await;
    admin
        .patch(&path(&disabled), json!({ "enabled": false }))
        .await
        .ok();
    void(&mail).await;

    let (renamed, mail) = person("renamed").await;
    let body = json!({ "email": "other@acme.test" });
    admin.patch(&path(&renamed), body).await.ok();
    void(&mail).await;

    let (deleted, mail) = person("deleted").await;
    admin.delete(&path(&deleted)).await.done();
    void(&mail).await;

    // Of two links of one user the other is void with the first one's use.
    let (twice, first) = person("twice").await;
    let second = reset_mail(&app, &mailbox, &twice).await;
    reset(&app.anonymous(), &second.secret(), NEW).await.done();
    void(&first).await;
}

async fn of_parallel_uses_of_a_link_one_wins() {
    let (app, mailbox, _) = with_mail(&[]).await;
    let nora = app.member().await;
    let secret = reset_mail(&app, &mailbox, &nora).await.secret();
    let clients: Vec<_> = (0..6).map(|_| app.anonymous()).collect();
    let passwords: Vec<_> = (0..6)
        .map(|number| format!("{number} quiet geese before dawn"))
        .collect();
    let uses = clients
        .iter()
        .zip(&passwords)
        .map(|(client, password)| reset(client, &secret, password));
    let answers = join_all(uses).await;
    let won: Vec<_> = answers
        .iter()
        .zip(&passwords)
        .filter(|(answer, _)| answer.status == 204)
        .collect();
    let [(_, password)] = won[..] else {
        panic!("one of {answers:?}");
    };
    assert!(
        answers
            .iter()
            .all(|answer| matches!(answer.status, 204 | 404))
    );
    app.browser().sign_in_as(&nora.email, password).await.ok();
    assert_eq!(app.events_of("password.reset").await.len(), 1);
}

async fn a_reset_lifts_no_lock() {
    let (app, mailbox, _) = with_mail(&[]).await;
    let nora = app.member().await;
    for _ in 0..5 {
        app.anonymous()
            .sign_in_as(&nora.email, "a wrong password")
            .await
            .problem(401, "sign_in_failed");
    }
    mails(&app, &mailbox).await;
    let mail = reset_mail(&app, &mailbox, &nora).await;
    reset(&app.anonymous(), &mail.secret(), NEW).await.done();
    app.browser()
        .sign_in_as(&nora.email, NEW)
        .await
        .problem(401, "sign_in_failed");
}

async fn a_user_is_written_three_links_an_hour() {
    let (app, mailbox, _) = with_mail(&[]).await;
    let nora = app.member().await;
    let mut count = 0;
    for number in 0..5 {
        let client = app.anonymous().at(&format!("198.51.100.{number}"));
        ask(&client, &nora.email).await;
        count += mails(&app, &mailbox).await.len();
    }
    assert_eq!(count, 3);
    app.advance(hours(1));
    reset_mail(&app, &mailbox, &nora).await;
}

async fn an_address_asks_so_often_and_no_more() {
    let (app, _mailbox, _) = with_mail(&["--smtp-tls", "none", "--failure-limit", "3"]).await;
    let anon = app.anonymous();
    for number in 0..3 {
        ask(&anon, &format!("nobody{number}@acme.test")).await;
    }
    for email in ["nobody@acme.test", TestApp::ADMIN] {
        let answer = anon
            .post("/api/v1/forgot-password", json!({ "email": email }))
            .await;
        answer.problem(429, "too_many_attempts");
        assert!(answer.header("retry-after").is_some());
    }
    ask(&app.anonymous().at("198.51.100.9"), TestApp::ADMIN).await;
}

async fn only_the_hash_of_a_link_is_stored() {
    let (app, mailbox, _) = with_mail(&[]).await;
    let nora = app.member().await;
    let secret = reset_mail(&app, &mailbox, &nora).await.secret();
    let bytes = base64_of(secret.strip_prefix("rc_r_").expect("a prefix"));
    let stored = app.blobs("SELECT secret_hash FROM mail_link").await;
    assert_eq!(stored, [Sha256::digest(&bytes).to_vec()]);
    let texts = app
        .texts("SELECT email || kind || device || ip FROM mail_letter")
        .await;
    assert!(texts.iter().all(|text| !text.contains(&secret[5..])));
    let found = app
        .blobs("SELECT proof FROM mail_letter WHERE proof IS NOT NULL")
        .await;
    assert!(found.iter().all(|proof| *proof != bytes));
}

fn base64_of(text: &str) -> Vec<u8> {
    use base64::Engine;
    let engine = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    engine.decode(text).expect("base64url")
}

async fn a_new_password_follows_the_rules() {
    let (app, mailbox, _) = with_mail(&[]).await;
    let nora = app.member().await;
    let secret = reset_mail(&app, &mailbox, &nora).await.secret();
    let anon = app.anonymous();
    for password in ["", "short", "passwordpassword", "nora@acme.test!"] {
        reset(&anon, &secret, password).await.field("new_password");
    }
    for link in [
        "",
        "rc_r_",
        "x",
        &secret.replace("rc_r_", "rc_n_"),
        &secret[..47],
    ] {
        reset(&anon, link, NEW).await.problem(404, "not_found");
    }
    let body = json!({ "link": secret });
    anon.post("/api/v1/reset-password", body)
        .await
        .field("new_password");
    for (email, answered) in [("", "email"), ("nobody", "email"), ("a@b@c", "email")] {
        let body = json!({ "email": email });
        let answer = anon.post("/api/v1/forgot-password", body).await;
        answer.field(answered);
    }
    reset(&anon, &secret, NEW).await.done();
    app.open_session(&nora, NewRow::default()).await;
}

impl TestApp {
    async fn blobs(&self, query: &str) -> Vec<Vec<u8>> {
        let reader = self.side().reader();
        let statement = Statement::from_string(reader.get_database_backend(), query);
        let rows = reader.query_all_raw(statement).await;
        let rows = rows.expect("the database answers");
        let value = |row: &sea_orm::QueryResult| row.try_get_by_index(0).expect("bytes");
        rows.iter().map(value).collect()
    }

    async fn texts(&self, query: &str) -> Vec<String> {
        let reader = self.side().reader();
        let statement = Statement::from_string(reader.get_database_backend(), query);
        let rows = reader.query_all_raw(statement).await;
        let rows = rows.expect("the database answers");
        let value = |row: &sea_orm::QueryResult| row.try_get_by_index(0).expect("a text");
        rows.iter().map(value).collect()
    }
}

//! Mails on their way: nobody waits for a mail server, and users are told once of each thing.

use http::Method;
use rollcall_core::BuiltInRole;
use serde_json::json;

use crate::support::mailbox::{Mail, Mailbox, Mood};
use crate::support::{Client, NewRow, PASSWORD, Person, TestApp, hours, minutes, seconds};

both_databases!(
    a_dead_mail_server_slows_nothing_and_mails_follow_once,
    what_is_not_worth_sending_any_more_is_not_sent,
    a_mail_whose_answer_was_lost_comes_twice_and_works_once,
    a_mailbox_that_is_not_there_is_given_up,
    nothing_that_users_are_called_gets_into_a_header,
    users_are_told_once_of_each_lock_and_each_new_password,
    programs_are_told_nothing,
    times_are_told_in_the_zone_of_the_user,
    a_server_without_tls_is_sent_nothing,
    what_a_backup_holds_of_mails_is_void,
    without_a_mail_server_nothing_is_written,
);

pub(crate) const NEW: &str = "nine loud geese before dawn";

/// A server that sends mails, where they go, and its administrator's browser.
pub(crate) async fn with_mail(more: &[&str]) -> (TestApp, Mailbox, Client) {
    let mailbox = Mailbox::start().await;
    let settings = mailbox.settings();
    let settings: Vec<_> = settings.iter().map(String::as_str).collect();
    let starting = TestApp::start().with(&settings);
    let (app, _, admin) = match more {
        [] => starting.with(&["--smtp-tls", "none"]),
        more => starting.with(more),
    }
    .with_admin()
    .await;
    (app, mailbox, admin)
}

/// Sends what is due, and answers what has come.
pub(crate) async fn mails(app: &TestApp, mailbox: &Mailbox) -> Vec<Mail> {
    app.service()
        .deliver_mail()
        .await
        .expect("the database answers");
    mailbox.empty()
}

/// Asks for a new password.
pub(crate) async fn ask(client: &Client, email: &str) {
    let body = json!({ "email": email });
    client.post("/api/v1/forgot-password", body).await.done();
}

/// Asks for a new password, and answers the mail that comes.
pub(crate) async fn reset_mail(app: &TestApp, mailbox: &Mailbox, person: &Person) -> Mail {
    ask(&app.anonymous(), &person.email).await;
    let [mail] = mails(app, mailbox).await.try_into().expect("one mail");
    mail
}

fn subjects(mails: &[Mail]) -> Vec<&str> {
    mails
        .iter()
        .map(|mail| mail.header("Subject").expect("a subject"))
        .collect()
}

async fn a_dead_mail_server_slows_nothing_and_mails_follow_once() {
    let (app, mailbox, _) = with_mail(&[]).await;
    let nora = app.member().await;
    mailbox.set(Mood::Dead);
    app.browser().sign_in(&nora).await.ok();
    app.advance(seconds(1));
    app.browser().at("198.51.100.7").sign_in(&nora).await.ok();
    ask(&app.anonymous(), &nora.email).await;
    assert!(mailbox.heard().is_empty(), "nobody has been asked yet");
    for _ in 0..4 {
        assert!(mails(&app, &mailbox).await.is_empty());
        app.advance(minutes(2));
    }
    mailbox.set(Mood::Well);
    // Whatever attempt is due by now.
    app.advance(minutes(10));
    let mut came = mails(&app, &mailbox).await;
    came.sort_by_key(|mail| mail.header("Subject").map(str::to_owned));
    assert_eq!(
        subjects(&came),
        ["New sign-in to your account", "Set a new password"]
    );
    app.advance(minutes(30));
    assert!(mails(&app, &mailbox).await.is_empty(), "each of them once");
}

async fn what_is_not_worth_sending_any_more_is_not_sent() {
    let (app, mailbox, _) = with_mail(&[]).await;
    let nora = app.member().await;
    mailbox.set(Mood::Dead);
    app.browser().sign_in(&nora).await.ok();
    app.advance(seconds(1));
    app.browser().at("198.51.100.7").sign_in(&nora).await.ok();
    ask(&app.anonymous(), &nora.email).await;
    assert!(mails(&app, &mailbox).await.is_empty());
    app.advance(hours(1));
    mailbox.set(Mood::Well);
    let came = mails(&app, &mailbox).await;
    assert_eq!(subjects(&came), ["New sign-in to your account"]);
    // The link that came late is good for what is left of the day, as it says.
    app.browser().at("198.51.101.7").sign_in(&nora).await.ok();
    mailbox.set(Mood::Dead);
    assert!(mails(&app, &mailbox).await.is_empty());
    app.advance(hours(24));
    mailbox.set(Mood::Well);
    assert!(mails(&app, &mailbox).await.is_empty());
}

async fn a_mail_whose_answer_was_lost_comes_twice_and_works_once() {
    let (app, mailbox, _) = with_mail(&[]).await;
    let nora = app.member().await;
    mailbox.set(Mood::LosesAnswers);
    let first = reset_mail(&app, &mailbox, &nora).await;
    mailbox.set(Mood::Well);
    app.advance(minutes(1));
    let [second] = mails(&app, &mailbox).await.try_into().expect("one mail");
    assert_eq!(first.header("Message-ID"), second.header("Message-ID"));
    assert_ne!(first.secret(), second.secret());
    let reset = async |mail: &Mail| {
        let body = json!({ "link": mail.secret(), "new_password": NEW });
        app.anonymous().post("/api/v1/reset-password", body).await
    };
    reset(&first).await.done();
    reset(&second).await.problem(404, "not_found");
}

async fn a_mailbox_that_is_not_there_is_given_up() {
    let (app, mailbox, _) = with_mail(&[]).await;
    let nora = app.member().await;
    mailbox.set(Mood::KnowsNobody);
    ask(&app.anonymous(), &nora.email).await;
    assert!(mails(&app, &mailbox).await.is_empty());
    let heard = mailbox.heard().len();
    assert!(heard > 0);
    mailbox.set(Mood::Well);
    app.advance(minutes(30));
    assert!(mails(&app, &mailbox).await.is_empty());
    assert_eq!(mailbox.heard().len(), heard);
}

async fn nothing_that_users_are_called_gets_into_a_header() {
    let (app, mailbox, _) = with_mail(&[]).await;
    let nora = app.member().await;
    app.sql("UPDATE \"user\" SET name = 'Nora\r\nBcc: eve@evil.test'")
        .await;
    ask(&app.anonymous(), &nora.email).await;
    let [mail] = mails(&app, &mailbox).await.try_into().expect("one mail");
    assert_eq!(mail.to, ["nora@acme.test"]);
    assert!(!mail.text.contains("evil"), "{}", mail.text);
    assert_eq!(mail.header("To"), Some("nora@acme.test"));
    assert_eq!(
        mail.header("From"),
        Some("Rollcall <rollcall@rollcall.test>")
    );
    // As no door of ours would store it.
    ask(&app.anonymous(), &nora.email).await;
    app.sql("UPDATE \"user\" SET email = 'nora@acme.test\r\nBcc: eve@evil.test' WHERE email LIKE 'nora@%'")
        .await;
    app.service()
        .deliver_mail()
        .await
        .expect("the database answers");
    let max = app
        .user(nora.organisation, BuiltInRole::Member, "max@acme.test")
        .await;
    ask(&app.anonymous(), &max.email).await;
    app.sql("UPDATE mail_letter SET next_at = NULL").await;
    app.service()
        .deliver_mail()
        .await
        .expect("the database answers");
    mailbox.empty();
    app.sql("UPDATE mail_letter SET email = 'max@acme.test\r\nBcc: eve@evil.test', next_at = 0, sent_at = NULL")
        .await;
    let heard = mailbox.heard().len();
    assert!(mails(&app, &mailbox).await.is_empty());
    assert_eq!(mailbox.heard().len(), heard, "nobody was told of it");
}

async fn users_are_told_once_of_each_lock_and_each_new_password() {
    let (app, mailbox, admin) = with_mail(&[]).await;
    let nora = app.member().await;
    let thief = app.browser().at("198.51.100.66");
    for _ in 0..6 {
        thief
            .sign_in_as(&nora.email, "a wrong password")
            .await
            .problem(401, "sign_in_failed");
    }
    let [locked] = mails(&app, &mailbox).await.try_into().expect("one mail");
    assert_eq!(locked.header("Subject"), Some("Your account was locked"));
    assert!(locked.text.contains("198.51.100.66"), "{}", locked.text);
    assert_eq!(locked.link(), None);
    // A name that nobody has can be locked, too, and there is nobody to tell.
    for _ in 0..6 {
        thief
            .sign_in_as("nobody@acme.test", "a wrong password")
            .await
            .problem(401, "sign_in_failed");
    }
    assert!(mails(&app, &mailbox).await.is_empty());
    let unlock = format!("/api/v1/users/{}/unlock", nora.id);
    admin.post(&unlock, json!({})).await.done();

    let browser = app.browser_of(&nora).await;
    let body = json!({ "current_password": PASSWORD, "new_password": NEW });
    browser
        .post("/api/v1/me/password", body.clone())
        .await
        .done();
    let [changed] = mails(&app, &mailbox).await.try_into().expect("one mail");
    assert_eq!(changed.header("Subject"), Some("Your password was changed"));
    // What was refused is no news.
    browser
        .post("/api/v1/me/password", body)
        .await
        .field("current_password");
    assert!(mails(&app, &mailbox).await.is_empty());

    let reset = format!("/api/v1/users/{}/reset-password", nora.id);
    admin.post(&reset, json!({})).await.ok();
    let [reset] = mails(&app, &mailbox).await.try_into().expect("one mail");
    assert_eq!(reset.header("Subject"), Some("Your password was reset"));
    assert_eq!(reset.to, ["nora@acme.test"]);

    let mail = reset_mail(&app, &mailbox, &nora).await;
    let body = json!({ "link": mail.secret(), "new_password": NEW });
    app.anonymous()
        .post("/api/v1/reset-password", body)
        .await
        .done();
    let [set] = mails(&app, &mailbox).await.try_into().expect("one mail");
    assert_eq!(set.header("Subject"), Some("Your password was changed"));
}

async fn programs_are_told_nothing() {
    let (app, mailbox, _) = with_mail(&[]).await;
    let nora = app.member().await;
    app.sql("UPDATE \"user\" SET service_account = true WHERE email = 'nora@acme.test'")
        .await;
    for _ in 0..5 {
        app.browser()
            .sign_in_as(&nora.email, "a wrong password")
            .await
            .problem(401, "sign_in_failed");
    }
    ask(&app.anonymous(), &nora.email).await;
    assert!(mails(&app, &mailbox).await.is_empty());
}

async fn times_are_told_in_the_zone_of_the_user() {
    let (app, mailbox, _) = with_mail(&[]).await;
    let nora = app.member().await;
    let mail = reset_mail(&app, &mailbox, &nora).await;
    assert!(
        mail.text.contains("2026-11-22 09:00:00 UTC"),
        "{}",
        mail.text
    );
    assert_eq!(mail.header("Date"), Some("Sun, 22 Nov 2026 09:00:00 +0000"));
    app.sql("UPDATE \"user\" SET time_zone = 'Asia/Kolkata'")
        .await;
    let mail = reset_mail(&app, &mailbox, &nora).await;
    let text = &mail.text;
    assert!(text.contains("2026-11-22 14:30:00 Asia/Kolkata"), "{text}");
    assert!(text.contains("until 2026-11-22 15:30:00"), "{text}");
}

async fn a_server_without_tls_is_sent_nothing() {
    let secrets = ["--smtp-user", "rollcall", "--smtp-password", "hush hush"];
    let more: Vec<_> = ["--smtp-tls", "starttls"]
        .into_iter()
        .chain(secrets)
        .collect();
    let (app, mailbox, _) = with_mail(&more).await;
    let nora = app.member().await;
    ask(&app.anonymous(), &nora.email).await;
    assert!(mails(&app, &mailbox).await.is_empty());
    let heard = mailbox.heard();
    assert!(
        heard
            .iter()
            .all(|line| line.starts_with("EHLO") || line == "QUIT"),
        "{heard:?}"
    );
    assert_eq!(heard.first().map(String::as_str), Some("EHLO localhost"));
}

async fn what_a_backup_holds_of_mails_is_void() {
    let (app, mailbox, _) = with_mail(&[]).await;
    let nora = app.member().await;
    let mail = reset_mail(&app, &mailbox, &nora).await;
    mailbox.set(Mood::Dead);
    ask(&app.anonymous(), &nora.email).await;
    assert!(mails(&app, &mailbox).await.is_empty());
    let restored = app.service().note_restored(1, None).await;
    restored.expect("the database answers");
    mailbox.set(Mood::Well);
    app.advance(minutes(1));
    assert!(mails(&app, &mailbox).await.is_empty());
    let body = json!({ "link": mail.secret(), "new_password": NEW });
    app.anonymous()
        .post("/api/v1/reset-password", body)
        .await
        .problem(404, "not_found");
}

async fn without_a_mail_server_nothing_is_written() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let browser = app.browser_of(&nora).await;
    let body = json!({ "current_password": PASSWORD, "new_password": NEW });
    browser.post("/api/v1/me/password", body).await.done();
    app.anonymous()
        .post("/api/v1/forgot-password", json!({ "email": nora.email }))
        .await
        .problem(404, "not_found");
    let page = app
        .browser()
        .ask(Method::GET, "/forgot-password")
        .header("accept", "text/html")
        .await;
    assert!(page.text().contains("Ask the administrator"));
    assert!(!page.text().contains("<form"), "{}", page.text());
    assert_eq!(app.count("mail_letter").await, 0);
    app.open_session(&nora, NewRow::default()).await;
}

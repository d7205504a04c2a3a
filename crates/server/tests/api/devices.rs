//! Sign-ins from browsers and networks that were not seen before: told once, confirmed, reported.

use futures_util::future::join_all;
use http::Method;
use rollcall_core::{BuiltInRole, EndReason, Permission};
use serde_json::{Value, json};

use crate::mail::{NEW, mails, with_mail};
use crate::support::mailbox::{Mail, Mailbox};
use crate::support::{
    Answer, Client, PASSWORD, Person, TestApp, hours, minutes, seconds, unknown_id,
};

both_databases!(
    only_a_new_browser_or_network_is_news_and_once,
    parallel_sign_ins_from_a_new_place_are_told_once,
    nobodys_mailbox_is_filled,
    programs_have_no_places,
    my_sessions_marks_what_was_not_confirmed,
    whoever_came_in_cannot_confirm_themselves,
    a_disowned_session_ends,
    notices_of_others_do_not_exist,
    looking_at_a_report_changes_nothing,
    a_report_ends_the_session_once,
    a_second_button_ends_everything_and_the_password,
    of_parallel_reports_one_wins,
    a_report_is_good_for_a_day_and_for_one_account,
    a_deleted_user_leaves_no_places,
);

const CHROME: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36";
const NEWER_FIREFOX: &str =
    "Mozilla/5.0 (X11; Linux x86_64; rv:141.0) Gecko/20100101 Firefox/141.0";

/// Nora has signed in at home, and then somebody at another place.
struct Scene {
    app: TestApp,
    mailbox: Mailbox,
    admin: Client,
    nora: Person,
    home: Client,
    thief: Client,
    mail: Mail,
}

async fn scene() -> Scene {
    let (app, mailbox, admin) = with_mail(&[]).await;
    let nora = app.member().await;
    let home = app.browser();
    home.sign_in(&nora).await.ok();
    app.advance(seconds(1));
    let thief = app.browser().at("198.51.100.66").with_agent(CHROME);
    thief.sign_in(&nora).await.ok();
    let [mail] = mails(&app, &mailbox).await.try_into().expect("one mail");
    app.advance(seconds(1));
    Scene {
        app,
        mailbox,
        admin,
        nora,
        home,
        thief,
        mail,
    }
}

async fn page(client: &Client, path: &str) -> Answer {
    client
        .ask(Method::GET, path)
        .header("accept", "text/html")
        .await
}

async fn notices(client: &Client) -> Vec<Value> {
    let list = client.get("/api/v1/me/notices").await.ok();
    list.as_array().expect("a list").clone()
}

async fn report(client: &Client, secret: &str, all: bool) -> Answer {
    let body = json!({ "link": secret, "all": all });
    client.post("/api/v1/report-sign-in", body).await
}

async fn say(client: &Client, session: impl std::fmt::Display, word: &str) -> Answer {
    let path = format!("/api/v1/me/notices/{session}/{word}");
    client.post(&path, json!({})).await
}

async fn only_a_new_browser_or_network_is_news_and_once() {
    let (app, mailbox, _) = with_mail(&[]).await;
    let nora = app.member().await;
    let home = || app.browser();
    for (client, news) in [
        (home(), false),
        (home(), false),
        // The same network, and another version of the same browser.
        (home().at("203.0.113.200"), false),
        (home().with_agent(NEWER_FIREFOX), false),
        (home().with_agent(CHROME), true),
        (home().with_agent(CHROME), false),
        (home().at("203.0.114.7"), true),
        (home().at("203.0.114.8"), false),
        (home().at("2001:db8:1:2::1"), true),
        (home().at("2001:db8:1:2:ffff::1"), false),
        (home().at("2001:db8:1:3::1"), true),
    ] {
        app.advance(seconds(1));
        client.sign_in(&nora).await.ok();
        let came = mails(&app, &mailbox).await;
        assert_eq!(came.len(), usize::from(news), "{came:?}");
    }
    let events = app.events_of("device.new").await;
    let mut details: Vec<_> = events
        .iter()
        .map(|event| event["detail"].as_str().expect("a place"))
        .collect();
    details.sort_unstable();
    assert_eq!(
        details,
        [
            "Chrome on Windows, 203.0.113.0/24",
            "Firefox on Linux, 2001:db8:1:2::/64",
            "Firefox on Linux, 2001:db8:1:3::/64",
            "Firefox on Linux, 203.0.114.0/24",
        ]
    );
    // A wrong password is none.
    let wrong = app.browser().at("192.0.2.1");
    wrong
        .sign_in_as(&nora.email, "a wrong password")
        .await
        .problem(401, "sign_in_failed");
    assert!(mails(&app, &mailbox).await.is_empty());
}

async fn parallel_sign_ins_from_a_new_place_are_told_once() {
    let (app, mailbox, _) = with_mail(&[]).await;
    let nora = app.member().await;
    app.browser().sign_in(&nora).await.ok();
    let clients: Vec<_> = (0..4).map(|_| app.browser().at("198.51.100.66")).collect();
    let all = join_all(clients.iter().map(|client| client.sign_in(&nora))).await;
    assert!(all.iter().all(|answer| answer.status == 200));
    assert_eq!(mails(&app, &mailbox).await.len(), 1);
    assert_eq!(app.events_of("device.new").await.len(), 1);
}

async fn nobodys_mailbox_is_filled() {
    let (app, mailbox, _) = with_mail(&[]).await;
    let nora = app.member().await;
    for number in 0..13 {
        let place = app.browser().at(&format!("198.51.{number}.66"));
        place.sign_in(&nora).await.ok();
    }
    assert_eq!(mails(&app, &mailbox).await.len(), 10);
    assert_eq!(app.events_of("device.new").await.len(), 12);
    app.advance(hours(24));
    app.browser().at("192.0.2.66").sign_in(&nora).await.ok();
    assert_eq!(mails(&app, &mailbox).await.len(), 1);
}

async fn programs_have_no_places() {
    let (app, mailbox, _) = with_mail(&[]).await;
    let nora = app.member().await;
    app.browser().sign_in(&nora).await.ok();
    let body = json!({ "email": nora.email, "password": PASSWORD, "token": true });
    let program = app.anonymous().at("198.51.100.66");
    program.post("/api/v1/sign-in", body).await.ok();
    app.sql("UPDATE \"user\" SET service_account = true").await;
    app.browser().at("198.51.100.67").sign_in(&nora).await.ok();
    assert!(mails(&app, &mailbox).await.is_empty());
    assert!(app.events_of("device.new").await.is_empty());
}

async fn my_sessions_marks_what_was_not_confirmed() {
    // Without a mail server, too.
    let (app, _, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let home = app.browser();
    home.sign_in(&nora).await.ok();
    let marked = async || {
        page(&home, "/account/sessions")
            .await
            .text()
            .contains("data-news")
    };
    assert!(!marked().await);
    assert!(notices(&home).await.is_empty());
    app.advance(seconds(1));
    let phone = app.browser().at("198.51.100.7").with_agent(CHROME);
    phone.sign_in(&nora).await.ok();
    let session = phone.session_id().await;
    assert!(marked().await);
    let told = notices(&home).await;
    assert_eq!(
        told,
        [json!({
            "session": session,
            "device": "Chrome on Windows",
            "network": "198.51.100.0/24",
            "at": "2026-11-22T09:00:01.000000Z",
            "active": true,
            "can_be_confirmed": true,
        })]
    );
    let shown = page(&home, "/account/notices").await.text();
    assert!(shown.contains("Chrome on Windows"), "{shown}");
    assert!(shown.contains("This was me") && shown.contains("This was not me"));
    let form = home
        .ask(Method::POST, "/rpc/confirm_notice")
        .header("accept", "text/html")
        .form(&[("session", &session.to_string())])
        .await;
    assert_eq!(form.header("location"), Some("/account/notices"));
    assert!(!marked().await);
    assert!(notices(&home).await.is_empty());
    assert_eq!(app.events_of("device.confirmed").await.len(), 1);
    say(&home, session, "confirm")
        .await
        .problem(404, "not_found");
    assert!(phone.is_signed_in().await);
    // What nobody confirms is shown for a month.
    app.browser().at("192.0.2.1").sign_in(&nora).await.ok();
    assert_eq!(notices(&home).await.len(), 1);
    app.advance(hours(24 * 30));
    let home = app.browser();
    home.sign_in(&nora).await.ok();
    assert!(notices(&home).await.is_empty());
}

async fn whoever_came_in_cannot_confirm_themselves() {
    let Scene {
        app,
        nora,
        home,
        thief,
        ..
    } = scene().await;
    let stolen = thief.session_id().await;
    assert!(notices(&thief).await.is_empty());
    say(&thief, stolen, "confirm")
        .await
        .problem(404, "not_found");
    // Nor from yet another place, which is news itself.
    let other = app.browser().at("192.0.2.66");
    other.sign_in(&nora).await.ok();
    let told = notices(&other).await;
    assert_eq!(
        (told.len(), &told[0]["can_be_confirmed"]),
        (1, &json!(false))
    );
    say(&other, stolen, "confirm")
        .await
        .problem(404, "not_found");
    assert_eq!(notices(&home).await.len(), 2);
    say(&home, stolen, "confirm").await.done();
    assert_eq!(notices(&home).await.len(), 1);
}

async fn a_disowned_session_ends() {
    let Scene {
        app,
        nora,
        home,
        thief,
        mailbox,
        ..
    } = scene().await;
    let stolen = thief.session_id().await;
    let form = home
        .ask(Method::POST, "/rpc/disown_notice")
        .header("accept", "text/html")
        .form(&[("session", &stolen.to_string())])
        .await;
    let there = form.header("location").expect("a way");
    assert!(page(&home, there).await.text().contains("Change password"));
    assert!(!thief.is_signed_in().await);
    assert!(home.is_signed_in().await);
    let ended = app.stored(stolen).await.ended.expect("an end");
    assert_eq!(ended.1, EndReason::NotMe);
    say(&home, stolen, "disown").await.problem(404, "not_found");
    // If they come back, it is news again.
    app.advance(seconds(1));
    thief.sign_in(&nora).await.ok();
    assert_eq!(mails(&app, &mailbox).await.len(), 1);
}

async fn notices_of_others_do_not_exist() {
    let Scene {
        app,
        nora,
        home,
        thief,
        ..
    } = scene().await;
    let max = app
        .user(
            nora.organisation,
            BuiltInRole::Administrator,
            "max@acme.test",
        )
        .await;
    let his = app.browser();
    his.sign_in(&max).await.ok();
    assert!(notices(&his).await.is_empty());
    let stolen = thief.session_id().await;
    for word in ["confirm", "disown"] {
        let foreign = say(&his, stolen, word).await.problem(404, "not_found");
        let unknown = say(&his, unknown_id(), word)
            .await
            .problem(404, "not_found");
        assert_eq!(foreign["detail"], unknown["detail"]);
        say(&app.anonymous(), stolen, word)
            .await
            .problem(401, "unauthenticated");
    }
    assert_eq!(notices(&home).await.len(), 1);
    assert!(thief.is_signed_in().await);
}

async fn looking_at_a_report_changes_nothing() {
    let Scene {
        app,
        thief,
        mail,
        home,
        ..
    } = scene().await;
    let link = mail.link().expect("a link");
    assert!(link.starts_with("/not-me/rc_n_"), "{link}");
    assert!(mail.text.contains("198.51.100.66"), "{}", mail.text);
    assert!(mail.text.contains("Chrome on Windows"), "{}", mail.text);
    let before = app.rows().await;
    for _ in 0..3 {
        let shown = page(&app.browser(), &link).await;
        assert_eq!(shown.status, 200);
        assert!(shown.text().contains("198.51.100.66"));
        assert_eq!(shown.header("cache-control"), Some("no-store"));
        app.browser().ask(Method::HEAD, &link).await;
    }
    assert_eq!(app.rows().await, before);
    assert!(thief.is_signed_in().await && home.is_signed_in().await);
}

async fn a_report_ends_the_session_once() {
    let Scene {
        app,
        home,
        thief,
        mail,
        nora,
        ..
    } = scene().await;
    let stolen = thief.session_id().await;
    let browser = app.browser();
    let send = async || {
        let answer = browser
            .ask(Method::POST, "/rpc/report_sign_in")
            .header("accept", "text/html")
            .header(
                "referer",
                format!("http://localhost:8080{}", mail.link().expect("a link")),
            )
            .form(&[("link", &mail.secret()), ("all", "false")])
            .await;
        assert_eq!(answer.status, 303);
        let there = answer.header("location").expect("a way").to_owned();
        page(&browser, &there).await.text()
    };
    let shown = send().await;
    assert!(shown.contains("That session was ended"), "{shown}");
    assert!(!thief.is_signed_in().await);
    assert!(home.is_signed_in().await);
    let ended = app.stored(stolen).await.ended.expect("an end");
    assert_eq!(ended.1, EndReason::NotMe);
    let again = send().await;
    assert!(again.contains("used for that already"), "{again}");
    report(&app.anonymous(), &mail.secret(), false)
        .await
        .problem(404, "not_found");
    let events = app.events_of("session.ended").await;
    let mine: Vec<_> = events
        .iter()
        .filter(|event| event["detail"] == "not_me")
        .collect();
    assert_eq!(mine.len(), 1);
    assert_eq!(mine[0]["actor"]["id"], json!(nora.id));
    app.browser().sign_in(&nora).await.ok();
}

async fn a_second_button_ends_everything_and_the_password() {
    let Scene {
        app,
        mailbox,
        nora,
        home,
        thief,
        mail,
        ..
    } = scene().await;
    let max = app
        .user(nora.organisation, BuiltInRole::Member, "max@acme.test")
        .await;
    let his = app.browser_of(&max).await;
    let (_, key) = app.api_key(&nora, &[Permission::ClientsRegister]).await;
    app.advance(seconds(1));
    let anon = app.anonymous();
    report(&anon, &mail.secret(), false).await.done();
    report(&anon, &mail.secret(), true).await.done();
    for held in [&home, &thief, &app.holding(&key)] {
        assert!(!held.is_signed_in().await);
    }
    assert!(his.is_signed_in().await);
    // Nobody gets in with the old password, and nobody is locked.
    anon.sign_in_as(&nora.email, PASSWORD)
        .await
        .problem(401, "sign_in_failed");
    assert!(app.events_of("user.locked").await.is_empty());
    for all in [false, true] {
        report(&anon, &mail.secret(), all)
            .await
            .problem(404, "not_found");
    }
    let shown = page(&app.browser(), &mail.link().expect("a link")).await;
    assert!(shown.text().contains("All your sessions were ended"));
    assert_eq!(app.events_of("password.withdrawn").await.len(), 1);
    let [reset] = mails(&app, &mailbox).await.try_into().expect("one mail");
    assert!(reset.text.contains("void"), "{}", reset.text);
    app.advance(minutes(1));
    let body = json!({ "link": reset.secret(), "new_password": NEW });
    anon.post("/api/v1/reset-password", body).await.done();
    app.browser().sign_in_as(&nora.email, NEW).await.ok();
    mails(&app, &mailbox).await;
}

async fn of_parallel_reports_one_wins() {
    let Scene { app, mail, .. } = scene().await;
    let secret = mail.secret();
    let clients: Vec<_> = (0..6).map(|_| app.anonymous()).collect();
    for all in [false, true] {
        let uses = clients.iter().map(|client| report(client, &secret, all));
        let answers = join_all(uses).await;
        let won = answers.iter().filter(|answer| answer.status == 204);
        assert_eq!(won.count(), 1, "{answers:?}");
    }
    assert_eq!(app.events_of("password.withdrawn").await.len(), 1);
}

async fn a_report_is_good_for_a_day_and_for_one_account() {
    let Scene {
        app,
        admin,
        mailbox,
        nora,
        mail,
        ..
    } = scene().await;
    let anon = app.anonymous();
    let body = json!({ "link": mail.secret(), "new_password": NEW });
    anon.post("/api/v1/reset-password", body)
        .await
        .problem(404, "not_found");
    let as_reset = mail.secret().replace("rc_n_", "rc_r_");
    let body = json!({ "link": as_reset, "new_password": NEW });
    anon.post("/api/v1/reset-password", body)
        .await
        .problem(404, "not_found");
    app.advance(hours(24) - seconds(2));
    let link = mail.link().expect("a link");
    let shown = page(&app.browser(), &link).await.text();
    assert!(shown.contains("Was this not you?"), "{shown}");
    app.advance(seconds(2));
    let shown = page(&app.browser(), &link).await.text();
    assert!(shown.contains("not good any more"), "{shown}");
    report(&anon, &mail.secret(), true)
        .await
        .problem(404, "not_found");
    // Whoever has another address now has had another mailbox then.
    app.browser().at("192.0.2.9").sign_in(&nora).await.ok();
    let [mail] = mails(&app, &mailbox).await.try_into().expect("one mail");
    let path = format!("/api/v1/users/{}", nora.id);
    app.advance(seconds(1));
    let admin = {
        drop(admin);
        app.browser_of(&app.admin().await).await
    };
    let body = json!({ "email": "other@acme.test" });
    admin.patch(&path, body).await.ok();
    report(&anon, &mail.secret(), true)
        .await
        .problem(404, "not_found");
}

async fn a_deleted_user_leaves_no_places() {
    let Scene {
        app, admin, nora, ..
    } = scene().await;
    assert_eq!(app.count("user_device").await, 2);
    admin
        .delete(&format!("/api/v1/users/{}", nora.id))
        .await
        .done();
    assert_eq!(app.count("user_device").await, 0);
}

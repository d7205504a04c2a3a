//! Guessing passwords: at every door, in every spelling, from one address, in a storm.

use futures_util::future::join_all;
use http::Method;
use rollcall_core::BuiltInRole;
use serde_json::json;

use crate::support::{Answer, Client, PASSWORD, TestApp, minutes, seconds};

both_databases!(
    ten_spellings_share_one_count,
    a_lock_holds_at_every_door,
    four_failures_outlive_the_server,
    one_address_locks_four_accounts_at_most,
    a_throttled_address_is_shown_and_released,
    refusals_are_the_same_at_every_door,
    a_password_counts_from_its_length_to_its_last_byte,
    raising_the_cost_reaches_an_account_at_its_next_sign_in,
    a_storm_of_sign_ins_is_sent_away_and_hinders_nobody,
    a_new_sign_in_starts_both_timers_and_a_failed_one_neither,
);

const WRONG: &str = "a wrong password";

async fn ten_spellings_share_one_count() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let acme = app.organisation("Acme").await;
    let zoe = app
        .user(acme, BuiltInRole::Member, "zo\u{eb}.fink@acme.test")
        .await;
    let spellings = [
        "zo\u{eb}.fink@acme.test",
        "zoe\u{308}.fink@acme.test",
        "ZO\u{cb}.FINK@ACME.TEST",
        "ZOE\u{308}.Fink@Acme.Test",
        "  zo\u{eb}.fink@acme.test",
        "zo\u{eb}.fink@acme.test\t\r\n",
        "\u{ff5a}o\u{eb}.fink@acme.test",
        "zo\u{eb}.\u{fb01}nk@acme.test",
        "zo\u{eb}.fink\u{ff20}acme.test",
        "\u{3000}zo\u{eb}\u{ff0e}fink@\u{ff41}cme.test\u{a0}",
    ];
    for spelling in spellings {
        app.anonymous().sign_in_as(spelling, PASSWORD).await.ok();
    }
    // Two guesses in the first, and one in each of three others, and no spelling opens it any more.
    for spelling in [
        spellings[0],
        spellings[1],
        spellings[3],
        spellings[6],
        spellings[9],
    ] {
        let answer = app.anonymous().sign_in_as(spelling, WRONG).await;
        answer.problem(401, "sign_in_failed");
    }
    for spelling in spellings {
        let answer = app.anonymous().sign_in_as(spelling, PASSWORD).await;
        answer.problem(401, "sign_in_failed");
    }
    let locked = format!("/api/v1/audit?action=user.locked&user={}", zoe.id);
    assert_eq!(admin.get(&locked).await.ok()["total"], 1);
    let names = app.attempt_names().await;
    assert_eq!(names, [spellings[0]]);
}

/// Each way to present a password, from an address of its own.
async fn doors(app: &TestApp, email: &str, password: &str, address: u8) -> Vec<Answer> {
    let client = |browser: Client| browser.at(&format!("198.51.100.{address}"));
    let rest = json!({ "email": email, "password": password });
    let bearer = json!({ "email": email, "password": password, "token": true });
    let form = [("email", email), ("password", password), ("go", "true")];
    vec![
        client(app.anonymous()).post("/api/v1/sign-in", rest).await,
        client(app.anonymous())
            .post("/api/v1/sign-in", bearer)
            .await,
        client(app.browser())
            .ask(Method::POST, "/rpc/sign_in")
            .header("accept", "application/json")
            .form(&form)
            .await,
        client(app.browser())
            .ask(Method::POST, "/rpc/sign_in")
            .header("accept", "text/html")
            .header("referer", "http://localhost:8080/sign-in")
            .form(&form)
            .await,
    ]
}

fn opens(answer: &Answer) -> bool {
    answer.cookie_token().is_some()
        || answer.session_token().is_some()
        || answer.text().contains("rc_s_")
}

async fn a_lock_holds_at_every_door() {
    let (app, anon, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let open = doors(&app, &nora.email, PASSWORD, 1).await;
    assert!(open.iter().all(opens), "{open:?}");
    for _ in 0..5 {
        let answer = anon.sign_in_as(&nora.email, WRONG).await;
        answer.problem(401, "sign_in_failed");
    }
    let before = app.rows().await.sessions;
    let refused = doors(&app, &nora.email, PASSWORD, 2).await;
    assert!(!refused.iter().any(opens), "{refused:?}");
    assert_eq!(app.rows().await.sessions, before);
    let refused = format!(
        "/api/v1/audit?action=sign_in&outcome=locked&user={}",
        nora.id
    );
    assert_eq!(
        admin.get(&refused).await.ok()["total"],
        4,
        "each is written down"
    );
}

async fn four_failures_outlive_the_server() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    for _ in 0..4 {
        let answer = app.anonymous().sign_in_as(&nora.email, WRONG).await;
        answer.problem(401, "sign_in_failed");
    }
    app.restart().await;
    let answer = app.anonymous().sign_in_as(&nora.email, WRONG).await;
    answer.problem(401, "sign_in_failed");
    app.restart().await;
    let answer = app.anonymous().sign_in(&nora).await;
    answer.problem(401, "sign_in_failed");
    assert_eq!(app.service().unlock_user(&nora.email).await, Ok(true));
}

async fn a_throttled_address_is_shown_and_released() {
    const THROTTLED: &str = "/api/v1/throttled-addresses";
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let ada = app.administrator_beside(&nora).await;
    let ada = app.browser_of(&ada).await;
    for (address, shown) in [
        ("198.51.100.66", "198.51.100.66"),
        ("2001:db8:0:7::9", "2001:db8:0:7::/64"),
    ] {
        let attacker = app.anonymous().at(address);
        for number in 0..19 {
            let name = format!("nobody{number}@acme.test");
            attacker
                .sign_in_as(&name, WRONG)
                .await
                .problem(401, "sign_in_failed");
            assert_eq!(admin.get(THROTTLED).await.ok()["items"], json!([]));
        }
        attacker
            .sign_in_as("last@acme.test", WRONG)
            .await
            .problem(401, "sign_in_failed");
        app.advance(seconds(60));
        let listed = admin.get(THROTTLED).await.ok();
        assert_eq!(listed["items"].as_array().map(Vec::len), Some(1));
        assert_eq!(listed["items"][0]["address"], shown);
        let until = listed["items"][0]["until"].as_str().expect("a moment");
        assert_eq!(
            rollcall_core::Timestamp::parse_rfc3339(until),
            Some(app.now() + seconds(240))
        );
        let page = admin.get("/users/locked").header("accept", "text/html");
        assert!(page.await.text().contains(shown));
        // An address belongs to no organisation.
        ada.get(THROTTLED).await.problem(403, "forbidden");
        let query = format!("{THROTTLED}?ip={}", shown.replace('/', "%2F"));
        ada.delete(&query).await.problem(403, "forbidden");
        let theirs = ada.get("/users/locked").header("accept", "text/html");
        assert!(!theirs.await.text().contains(shown));
        for (wrong, field) in [
            ("", "ip"),
            ("?ip=", "ip"),
            ("?ip=here", "ip"),
            ("?ip=192.0.2.0/24", "ip"),
            ("?ip=2001:db8::/32", "ip"),
            ("?address=192.0.2.7", "address"),
        ] {
            let answer = admin.delete(&format!("{THROTTLED}{wrong}")).await;
            assert_eq!(answer.json()["errors"][0]["field"], field, "{wrong}");
            answer.problem(400, "invalid_field");
        }
        attacker
            .sign_in(&nora)
            .await
            .problem(429, "too_many_attempts");
        admin.delete(&query).await.done();
        admin.delete(&query).await.done();
        attacker.sign_in(&nora).await.ok();
        assert_eq!(admin.get(THROTTLED).await.ok()["items"], json!([]));
        let told = "/api/v1/audit?action=address.released&outcome=success";
        let told = admin.get(told).await.ok();
        assert_eq!(told["items"][0]["detail"], shown);
    }
    let told = "/api/v1/audit?action=address.released";
    assert_eq!(admin.get(told).await.ok()["total"], 4);
    // Those whose time is over are not shown, whether anybody asks from there or not.
    let attacker = app.anonymous().at("198.51.100.66");
    for number in 0..20 {
        let name = format!("nobody{number}@acme.test");
        attacker
            .sign_in_as(&name, WRONG)
            .await
            .problem(401, "sign_in_failed");
    }
    app.advance(minutes(5));
    assert_eq!(admin.get(THROTTLED).await.ok()["items"], json!([]));
}

async fn one_address_locks_four_accounts_at_most() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let acme = app.organisation("Acme").await;
    let attacker = app.anonymous().at("198.51.100.66");
    let mut people = Vec::new();
    for number in 0..6 {
        let email = format!("user-{number}@acme.test");
        people.push(app.user(acme, BuiltInRole::Member, &email).await);
    }
    let sessions = join_all(people.iter().map(|person| app.browser_of(person))).await;
    let mut sent_away = 0;
    for person in &people {
        for _ in 0..5 {
            let answer = attacker.sign_in_as(&person.email, WRONG).await;
            if answer.status == 429 {
                answer.problem(429, "too_many_attempts");
                assert!(answer.header("retry-after").is_some());
                sent_away += 1;
            }
        }
    }
    assert_eq!(sent_away, 10, "after twenty failures");
    let locked = admin.get("/api/v1/audit?action=user.locked").await.ok();
    assert_eq!(locked["total"], 4);
    // Those who are signed in notice nothing, and others sign in as ever.
    for session in &sessions {
        assert!(session.is_signed_in().await);
    }
    let elsewhere = app.anonymous().at("198.51.100.67");
    elsewhere.sign_in(&people[4]).await.ok();
    elsewhere
        .sign_in(&people[3])
        .await
        .problem(401, "sign_in_failed");
    assert_eq!(app.service().unlock_user(&people[3].email).await, Ok(true));
    elsewhere.sign_in(&people[3]).await.ok();
}

async fn refusals_are_the_same_at_every_door() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let acme = app.organisation("Acme").await;
    let mut people = Vec::new();
    for name in ["wrong", "locked", "disabled", "passwordless"] {
        let email = format!("{name}@acme.test");
        people.push(app.user(acme, BuiltInRole::Member, &email).await);
    }
    app.sql("UPDATE \"user\" SET enabled = FALSE WHERE name = 'disabled'")
        .await;
    app.sql("UPDATE \"user\" SET password_hash = NULL WHERE name = 'passwordless'")
        .await;
    for _ in 0..5 {
        app.anonymous().sign_in_as(&people[1].email, WRONG).await;
    }
    // What differs by nature: the request's id, and the time that a program may take from.
    let shape = |answer: &Answer| {
        let id = answer.header("x-request-id").expect("an id").to_owned();
        let mut headers: Vec<_> = answer
            .headers
            .iter()
            .filter(|(name, _)| *name != "x-request-id")
            .map(|(name, value)| format!("{name}: {value:?}"))
            .collect();
        headers.sort();
        (answer.status, answer.text().replace(&id, "ID"), headers)
    };
    let first = doors(&app, "wrong@acme.test", WRONG, 1).await;
    assert!(!first.iter().any(opens), "{first:?}");
    for (address, (email, password)) in (2..).zip([
        ("nobody@acme.test", PASSWORD),
        ("no address at all", PASSWORD),
        ("locked@acme.test", PASSWORD),
        ("locked@acme.test", WRONG),
        ("disabled@acme.test", PASSWORD),
        ("disabled@acme.test", WRONG),
        ("passwordless@acme.test", PASSWORD),
    ]) {
        let answers = doors(&app, email, password, address).await;
        for (answer, first) in answers.iter().zip(&first) {
            assert_eq!(shape(answer), shape(first), "{email}");
        }
    }
}

async fn a_password_counts_from_its_length_to_its_last_byte() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let browser = app.browser_of(&nora).await;
    let mut current = PASSWORD.to_owned();
    let filler = "brisk otters juggle nine violet lamps while quartz sphinxes vow to judge ";
    let long = |length: usize| filler.repeat(20)[..length].to_owned();
    for (new, taken) in [
        ("Xk7 otter-vale".to_owned(), false),
        ("Xk7 otter-vale!".to_owned(), true),
        // Fifteen characters, whatever they weigh; no composition is asked for.
        (
            "\u{fc}\u{1F980}\u{e7} quail meadow"
                .chars()
                .take(14)
                .collect(),
            false,
        ),
        ("\u{fc}\u{1F980}\u{e7} quail meado".to_owned(), true),
        ("all lower case quails".to_owned(), true),
        ("   spaces at both ends count   ".to_owned(), true),
        (long(64), true),
        (long(72), true),
        (long(73), true),
        (long(128), true),
        (long(1_024), true),
        (long(1_025), false),
        ("qwertyuiopasdfgh".to_owned(), false),
        ("Password12345678".to_owned(), false),
        ("111111111111111111".to_owned(), false),
        // Their own name and address.
        ("nora@acme.test1".to_owned(), false),
    ] {
        let body = json!({ "current_password": current, "new_password": new });
        let answer = browser.post("/api/v1/me/password", body).await;
        if !taken {
            answer.field("new_password");
            continue;
        }
        assert_eq!(answer.status, 204, "{new}: {}", answer.text());
        current = new;
        app.anonymous().sign_in_as(&nora.email, &current).await.ok();
        // Its twin that differs in the last character, one that lacks it and one that has another more.
        let cut: String = current.chars().take(current.chars().count() - 1).collect();
        for other in [format!("{cut}~"), cut.clone()] {
            let answer = app.anonymous().sign_in_as(&nora.email, &other).await;
            answer.problem(401, "sign_in_failed");
        }
        let more = app
            .anonymous()
            .sign_in_as(&nora.email, &format!("{current}~"))
            .await;
        assert!(matches!(more.status, 400 | 401), "{}", more.text());
        app.anonymous().sign_in_as(&nora.email, &current).await.ok();
        app.advance(minutes(5));
    }
    // Composed and decomposed are one password.
    let body = json!({ "current_password": current, "new_password": "caf\u{e9} under the elm" });
    browser.post("/api/v1/me/password", body).await.done();
    app.anonymous()
        .sign_in_as(&nora.email, "cafe\u{301} under the elm")
        .await
        .ok();
}

async fn raising_the_cost_reaches_an_account_at_its_next_sign_in() {
    use argon2::password_hash::PasswordHasher;
    let (app, anon, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let cheap = argon2::Params::new(64, 1, 1, None).expect("parameters");
    let argon2 = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, cheap);
    let hash: argon2::password_hash::phc::PasswordHash = argon2
        .hash_password_with_salt(PASSWORD.as_bytes(), b"sixteen bytes of")
        .expect("a hash");
    let store = format!("UPDATE \"user\" SET password_hash = '{hash}' WHERE name = 'nora'");
    app.sql(store).await;
    let stored = async || {
        let user = rollcall_server::db::users::find_by_email(app.side().reader(), &nora.email);
        let user = user.await.expect("the database answers").expect("a user");
        user.password_hash.expect("a hash")
    };
    anon.sign_in_as(&nora.email, WRONG)
        .await
        .problem(401, "sign_in_failed");
    assert_eq!(
        stored().await,
        hash.to_string(),
        "whoever guesses changes nothing"
    );
    anon.sign_in(&nora).await.ok();
    let raised = stored().await;
    assert!(
        raised.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
        "{raised}"
    );
    anon.sign_in(&nora).await.ok();
    assert_eq!(stored().await, raised, "once is enough");
}

async fn a_storm_of_sign_ins_is_sent_away_and_hinders_nobody() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let storm: Vec<_> = (0..400)
        .map(|number| {
            let app = app.clone();
            tokio::spawn(async move {
                let address = format!("198.51.{}.{}", 100 + number / 200, number % 200);
                let name = format!("nobody-{number}@acme.test");
                app.anonymous().at(&address).sign_in_as(&name, WRONG).await
            })
        })
        .collect();
    // Whoever is signed in goes on meanwhile: these are answered before the storm is over.
    let mut answered = 0;
    while answered < 50 {
        assert!(admin.is_signed_in().await);
        answered += 1;
    }
    assert!(
        storm.iter().any(|attempt| !attempt.is_finished()),
        "a token check waited for the storm"
    );
    let mut sent_away = 0;
    for attempt in storm {
        let answer = attempt.await.expect("no panic");
        if answer.status == 429 {
            answer.problem(429, "too_many_attempts");
            assert!(answer.header("retry-after").is_some());
            sent_away += 1;
        } else {
            answer.problem(401, "sign_in_failed");
        }
    }
    // 256 are in work or wait, so of four hundred at once some are sent away; all those others are not.
    assert!(sent_away <= 400 - 256, "{sent_away}");
}

async fn a_new_sign_in_starts_both_timers_and_a_failed_one_neither() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let browser = app.browser();
    let first = browser.sign_in(&nora).await.ok()["session"].clone();
    app.advance(minutes(20));
    for _ in 0..2 {
        let answer = browser.sign_in_as(&nora.email, WRONG).await;
        answer.problem(401, "sign_in_failed");
        let body = json!({ "current_password": WRONG, "new_password": "nine loud geese at dawn" });
        let answer = browser.post("/api/v1/me/password", body).await;
        answer.field("current_password");
    }
    let same = browser.get("/api/v1/me").await.ok()["session"].clone();
    assert_eq!(same["id"], first["id"]);
    assert_eq!(same["absolute_expires_at"], first["absolute_expires_at"]);
    let second = browser.sign_in(&nora).await.ok()["session"].clone();
    assert_ne!(second["id"], first["id"]);
    let at = |time: rollcall_core::Timestamp| json!(time.to_string());
    assert_eq!(second["idle_expires_at"], at(app.now() + minutes(30)));
    assert_eq!(
        second["absolute_expires_at"],
        at(app.now() + minutes(24 * 60))
    );
}

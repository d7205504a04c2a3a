//! Signing in with an identity provider: there, and back with a code.

use http::Method;
use rollcall_core::{BuiltInRole, OrganisationId};
use serde_json::{Value, json};

use crate::mail::mails;
use crate::support::mailbox::{Mail, Mailbox};
use crate::support::provider::{
    Asked, Provider, Signed, Traveller, events, sign_in_elsewhere, start, start_with,
};
use crate::support::{Answer, Client, TestApp, minutes, seconds};

both_databases!(
    somebody_new_comes_in_by_a_rule_and_is_known_from_then_on,
    a_browser_is_sent_with_all_that_binds_it,
    what_was_dropped_swapped_or_kept_too_long_lets_nobody_in,
    a_way_back_is_good_once_whatever_the_provider_says,
    of_two_who_come_back_at_once_one_gets_in,
    an_id_token_is_believed_if_everything_is_right_and_not_otherwise,
    what_the_id_token_lacks_is_asked_for,
    an_e_mail_alone_makes_nobody_somebody,
    a_rule_links_who_is_there_already,
    whoever_is_linked_is_told_by_mail_at_the_address_of_old,
    a_lock_holds_for_who_was_on_the_way,
    somebody_must_have_signed_in_lately_and_well_enough,
    the_provider_confirms_who_is_there,
    a_provider_that_is_away_touches_no_session,
    a_key_that_is_not_known_is_asked_for_once,
    limits_hold_and_the_session_before_is_replaced,
);

fn rule(organisation: OrganisationId, words: &str) -> Value {
    json!({ "rules": [format!("domain=acme.test organisation={organisation} {words}")] })
}

// Everybody of Acme may come in.
async fn open_to_acme() -> (TestApp, Client, Provider, OrganisationId) {
    let (app, admin, provider) = start().await;
    let acme = app.organisation("Acme").await;
    provider
        .set_up(&app, &admin, rule(acme, "create"))
        .await
        .ok();
    (app, admin, provider, acme)
}

#[track_caller]
fn is_in(answer: &Answer, there: &str) {
    assert_eq!(answer.status, 303, "{}", answer.text());
    assert_eq!(answer.header("location"), Some(there));
    assert!(answer.cookie_token().is_some());
}

#[track_caller]
fn is_turned_away(answer: &Answer, status: u16, word: &str) {
    let text = answer.text();
    assert_eq!(answer.status, status, "{text}");
    assert!(text.contains(word), "no {word:?} in {text}");
    assert_eq!(answer.cookie_token(), None);
}

/// A sign-in whose ID token says something else than it should.
async fn tells(
    app: &TestApp,
    provider: &Provider,
    change: impl FnOnce(&mut Value),
    signed: Signed,
) -> Answer {
    let (browser, mut traveller) = (app.browser(), Traveller::default());
    let asked = Asked::of(&traveller.begins(&browser, &[]).await);
    let mut claims = provider.claims(app, &asked, "nora");
    change(&mut claims);
    let code = provider.code(&asked, provider.sign("JWT", &claims, signed));
    traveller
        .returns(&browser, &[("code", &code), ("state", asked.get("state"))])
        .await
}

async fn somebody_new_comes_in_by_a_rule_and_is_known_from_then_on() {
    let (app, admin, provider, acme) = open_to_acme().await;
    let (browser, mut traveller) = (app.browser(), Traveller::default());
    let begun = traveller
        .begins(&browser, &[("next", "/account/keys?a=b"), ("keep", "on")])
        .await;
    let asked = Asked::of(&begun);
    let claims = provider.claims(&app, &asked, "nora");
    let code = provider.code(&asked, provider.sign("JWT", &claims, Signed::Well));
    let back = traveller
        .returns(&browser, &[("code", &code), ("state", asked.get("state"))])
        .await;
    is_in(&back, "/account/keys?a=b");
    let cookie = back.cookies().join("\n");
    assert!(cookie.contains("; Max-Age="), "keep me signed in: {cookie}");
    let me = browser.get("/api/v1/me").await.ok();
    assert_eq!(me["user"]["email"], "nora@acme.test");
    assert_eq!(me["user"]["name"], "nora of Acme");
    assert_eq!(me["session"]["method"], "single_sign_on");
    assert_eq!(me["session"]["kind"], "console");
    assert_eq!(me["session"]["organisation"]["id"], acme.to_string());
    let listed = admin
        .get("/api/v1/sessions?method=single_sign_on")
        .await
        .ok();
    assert_eq!(listed["total"], 1);
    // She is who she is by issuer and subject, whatever she is called there.
    let again = tells(
        &app,
        &provider,
        |claims| claims["email"] = json!("nora@elsewhere.test"),
        Signed::Well,
    )
    .await;
    is_in(&again, "/");
    let users = admin.get("/api/v1/users?q=nora").await.ok();
    assert_eq!(
        (&users["total"], &users["items"][0]["email"]),
        (&json!(1), &json!("nora@acme.test"))
    );
    assert_eq!(users["items"][0]["role"]["key"], "member");
    for (action, count) in [
        ("user.created", 2),
        ("identity.linked", 1),
        ("session.created", 2),
        ("sign_in", 2),
    ] {
        assert_eq!(events(&admin, action).await.len(), count, "{action}");
    }
    let linked = &events(&admin, "identity.linked").await[0];
    assert_eq!(
        (&linked["detail"], &linked["target"]["email"]),
        (&json!("staff"), &json!("nora@acme.test"))
    );
}

async fn a_browser_is_sent_with_all_that_binds_it() {
    let (app, _, provider, _) = open_to_acme().await;
    let (browser, mut traveller) = (app.browser(), Traveller::default());
    let begun = traveller.begins(&browser, &[]).await;
    assert!(begun.text().contains("Going to Staff login"));
    let asked = Asked::of(&begun);
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", "rollcall"),
        (
            "redirect_uri",
            "https://rollcall.example/auth/callback/staff",
        ),
        ("scope", "openid profile email"),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(asked.get(name), value, "{name}");
    }
    let secret = traveller.secret.clone().expect("a cookie");
    for name in ["state", "nonce", "code_challenge"] {
        assert!(asked.get(name).len() >= 43, "{name}");
        assert!(!asked.get(name).contains(&secret), "{name}");
    }
    // Another beginning in the same browser: the cookie stays, all else differs.
    let other = Asked::of(&traveller.begins(&browser, &[]).await);
    assert_eq!(traveller.secret.as_ref(), Some(&secret));
    for name in ["state", "nonce", "code_challenge"] {
        assert_ne!(asked.get(name), other.get(name), "{name}");
    }
    // It is a form of our own page that begins, never a link from elsewhere.
    let foreign = browser
        .ask(Method::POST, "/auth/sso/staff")
        .form(&[])
        .bare()
        .header("sec-fetch-site", "cross-site")
        .await;
    assert_eq!(foreign.status, 403);
    assert_eq!(browser.get("/auth/sso/staff").await.status, 405);
    let nobody = browser
        .ask(Method::POST, "/auth/sso/nobody")
        .form(&[])
        .await;
    assert_eq!(nobody.status, 404);
    assert_eq!(
        provider.discoveries(),
        1,
        "asked once, and known from then on"
    );
}

async fn what_was_dropped_swapped_or_kept_too_long_lets_nobody_in() {
    let (app, admin, provider, _) = open_to_acme().await;
    let before = app.rows().await.sessions;
    let browser = app.browser();
    let (mut one, mut other) = (Traveller::default(), Traveller::default());
    let asked = Asked::of(&one.begins(&browser, &[]).await);
    let others = Asked::of(&other.begins(&browser, &[]).await);
    let code = |asked: &Asked| {
        let claims = provider.claims(&app, asked, "nora");
        provider.code(asked, provider.sign("JWT", &claims, Signed::Well))
    };
    let stale = "good once";
    let nothing = Traveller::default();
    let state = asked.get("state");
    // Nobody began it, somebody else did, or it was not this.
    for (traveller, state) in [
        (&nothing, state),
        (&other, state),
        (&one, others.get("state")),
        (&one, ""),
        (&one, &state[1..]),
        (&one, "AAAA"),
    ] {
        let answer = traveller
            .returns(&browser, &[("code", &code(&asked)), ("state", state)])
            .await;
        is_turned_away(&answer, 403, stale);
    }
    let twice = one
        .returns(
            &browser,
            &[("code", "x"), ("state", state), ("state", state)],
        )
        .await;
    is_turned_away(&twice, 403, stale);
    // A code that was issued for another beginning: nonce and verifier do not fit.
    let swapped = one
        .returns(&browser, &[("code", &code(&others)), ("state", state)])
        .await;
    is_turned_away(&swapped, 403, "did not let you in");
    for pairs in [
        vec![("state", state)],
        vec![("state", state), ("error", "access_denied")],
        vec![("state", state), ("error", "x"), ("code", "y")],
        vec![("state", state), ("code", "made up")],
    ] {
        let answer = one.returns(&browser, &pairs).await;
        is_turned_away(&answer, 403, "did not let you in");
    }
    // Somebody else answers in its place (RFC 9207).
    let mixed_up = one
        .returns(
            &browser,
            &[
                ("code", &code(&asked)),
                ("state", state),
                ("iss", "https://evil.example"),
            ],
        )
        .await;
    is_turned_away(&mixed_up, 502, "cannot be trusted");
    app.advance(minutes(10));
    let late = one
        .returns(&browser, &[("code", &code(&asked)), ("state", state)])
        .await;
    is_turned_away(&late, 403, stale);
    assert_eq!(app.rows().await.sessions, before);
    // What began here and failed is an event; what anybody could make up is none.
    assert_eq!(events(&admin, "sign_in").await.len(), 6);
}

async fn a_way_back_is_good_once_whatever_the_provider_says() {
    let (app, _, provider, _) = open_to_acme().await;
    let (browser, mut traveller) = (app.browser(), Traveller::default());
    let asked = Asked::of(&traveller.begins(&browser, &[]).await);
    let claims = provider.claims(&app, &asked, "nora");
    let token = provider.sign("JWT", &claims, Signed::Well);
    let codes = [
        provider.code(&asked, token.clone()),
        provider.code(&asked, token),
    ];
    let returns = |code| {
        let pairs = [("code", code), ("state", asked.get("state"))];
        let (traveller, browser) = (&traveller, &browser);
        async move { traveller.returns(browser, &pairs).await }
    };
    is_in(&returns(codes[0].as_str()).await, "/");
    let token = browser.token();
    is_turned_away(&returns(codes[0].as_str()).await, 403, "did not let you in");
    is_turned_away(&returns(codes[1].as_str()).await, 403, "good once");
    assert_eq!(browser.token(), token);
    assert!(browser.is_signed_in().await);
}

async fn of_two_who_come_back_at_once_one_gets_in() {
    let (app, _, provider, _) = open_to_acme().await;
    let before = app.rows().await;
    let mut traveller = Traveller::default();
    let browser = app.browser();
    let asked = Asked::of(&traveller.begins(&browser, &[]).await);
    let claims = provider.claims(&app, &asked, "nora");
    let token = provider.sign("JWT", &claims, Signed::Well);
    let returning = (0..12).map(|_| {
        let code = provider.code(&asked, token.clone());
        let (traveller, state) = (traveller.clone(), asked.get("state").to_owned());
        let browser = app.browser();
        tokio::spawn(async move {
            let pairs = [("code", code.as_str()), ("state", state.as_str())];
            traveller.returns(&browser, &pairs).await.status
        })
    });
    let returning: Vec<_> = returning.collect();
    let mut let_in = 0;
    for one in returning {
        match one.await.expect("it answers") {
            303 => let_in += 1,
            status => assert_eq!(status, 403),
        }
    }
    let after = app.rows().await;
    assert_eq!(
        (let_in, after.sessions, after.users),
        (1, before.sessions + 1, before.users + 1)
    );
}

async fn an_id_token_is_believed_if_everything_is_right_and_not_otherwise() {
    type Change = fn(&mut Value);
    let (app, _, provider, _) = open_to_acme().await;
    let wrong: [(&str, Change); 14] = [
        ("no subject", |claims| claims["sub"] = Value::Null),
        ("another issuer", |claims| {
            claims["iss"] = json!("https://evil.example")
        }),
        ("an issuer with a slash", |claims| {
            claims["iss"] = json!(format!("{}/", claims["iss"].as_str().expect("text")));
        }),
        ("another audience", |claims| {
            claims["aud"] = json!("somebody")
        }),
        ("a foreign audience beside ours", |claims| {
            claims["aud"] = json!(["rollcall", "somebody"]);
        }),
        ("no audience", |claims| claims["aud"] = json!([])),
        ("no nonce", |claims| claims["nonce"] = Value::Null),
        ("another nonce", |claims| claims["nonce"] = json!("x")),
        ("no end", |claims| claims["exp"] = Value::Null),
        ("over", |claims| claims["exp"] = claims["iat"].clone()),
        ("no beginning", |claims| claims["iat"] = Value::Null),
        ("made long ago", |claims| {
            claims["iat"] = json!(claims["iat"].as_i64().expect("seconds") - 601)
        }),
        ("made tomorrow", |claims| {
            claims["iat"] = json!(claims["iat"].as_i64().expect("seconds") + 61)
        }),
        ("nothing", |claims| *claims = json!({})),
    ];
    for (what, change) in wrong {
        // Twenty failures from one address have to wait; this is not about them.
        app.advance(minutes(6));
        let change = move |claims: &mut Value| {
            change(claims);
            if let Some(claims) = claims.as_object_mut() {
                claims.retain(|_, value| !value.is_null());
            }
        };
        let answer = tells(&app, &provider, change, Signed::Well).await;
        assert_eq!(answer.status, 502, "{what}: {}", answer.text());
        is_turned_away(&answer, 502, "cannot be trusted");
    }
    app.advance(minutes(6));
    for signed in [Signed::ByAnother, Signed::NotAtAll, Signed::WithPublicKey] {
        let answer = tells(&app, &provider, |_| {}, signed).await;
        assert_eq!(answer.status, 502, "{signed:?}: {}", answer.text());
    }
    // A key that the token itself brings along is nobody's.
    let (browser, mut traveller) = (app.browser(), Traveller::default());
    let asked = Asked::of(&traveller.begins(&browser, &[]).await);
    let claims = provider.claims(&app, &asked, "nora");
    let header = json!({
        "alg": "EdDSA", "typ": "JWT", "kid": "mine", "jku": "https://evil.example/keys",
        "jwk": { "kty": "OKP", "crv": "Ed25519", "x": "AAAA" },
    });
    let code = provider.code(
        &asked,
        provider.sign_with(&header, &claims, Signed::ByAnother),
    );
    let answer = traveller
        .returns(&browser, &[("code", &code), ("state", asked.get("state"))])
        .await;
    is_turned_away(&answer, 502, "cannot be trusted");
    is_in(&tells(&app, &provider, |_| {}, Signed::Well).await, "/");
}

async fn what_the_id_token_lacks_is_asked_for() {
    let (app, admin, provider) = start().await;
    let acme = app.organisation("Acme").await;
    let rules = rule(acme, "claim.groups=staff role=administrator create");
    provider.tell(json!({ "sub": "nora", "groups": ["staff"], "email": "eve@evil.example" }));
    provider.set_up(&app, &admin, rules).await.ok();
    is_in(&tells(&app, &provider, |_| {}, Signed::Well).await, "/");
    let users = admin.get("/api/v1/users?q=nora").await.ok();
    // What was signed counts before what was told.
    assert_eq!(users["items"][0]["email"], "nora@acme.test");
    assert_eq!(users["items"][0]["role"]["key"], "administrator");
    // Told of somebody else.
    provider.tell(json!({ "sub": "eve", "groups": ["staff"] }));
    let other = tells(&app, &provider, |_| {}, Signed::Well).await;
    is_turned_away(&other, 502, "cannot be trusted");
}

async fn an_e_mail_alone_makes_nobody_somebody() {
    let (app, admin, provider, acme) = open_to_acme().await;
    app.user(acme, BuiltInRole::Member, "nora@acme.test").await;
    let before = app.rows().await;
    // There is a Nora already, and no rule links her.
    let taken = tells(&app, &provider, |_| {}, Signed::Well).await;
    is_turned_away(&taken, 403, "not linked");
    type Change = fn(&mut Value);
    let others: [(&str, Change); 5] = [
        ("not verified", |claims| {
            claims["email_verified"] = json!(false)
        }),
        ("nobody says so", |claims| {
            claims["email_verified"] = Value::Null
        }),
        ("no e-mail", |claims| claims["email"] = Value::Null),
        ("another domain", |claims| {
            claims["email"] = json!("nora@globex.test")
        }),
        ("no address", |claims| claims["email"] = json!("@acme.test")),
    ];
    for (what, change) in others {
        let answer = tells(
            &app,
            &provider,
            |claims| {
                claims["sub"] = json!("somebody");
                change(claims);
            },
            Signed::Well,
        )
        .await;
        assert_eq!(answer.status, 403, "{what}");
        is_turned_away(&answer, 403, "nobody has opened this server to you");
    }
    assert_eq!(
        (app.rows().await.users, app.rows().await.sessions),
        (before.users, before.sessions)
    );
    // Another provider with the same subject is somebody else.
    is_in(
        &tells(
            &app,
            &provider,
            |claims| claims["email"] = json!("bo@acme.test"),
            Signed::Well,
        )
        .await,
        "/",
    );
    let second = Provider::start().await;
    second.set_up(&app, &admin, rule(acme, "create")).await.ok();
    let same = tells(
        &app,
        &second,
        |claims| claims["email"] = json!("bo@acme.test"),
        Signed::Well,
    )
    .await;
    is_turned_away(&same, 403, "not linked");
}

async fn a_rule_links_who_is_there_already() {
    let (app, admin, provider) = start().await;
    let acme = app.organisation("Acme").await;
    let globex = app.organisation("Globex").await;
    let nora = app.user(acme, BuiltInRole::Member, "nora@acme.test").await;
    app.user(globex, BuiltInRole::Member, "gus@acme.test").await;
    app.user(acme, BuiltInRole::PlatformAdministrator, "root@acme.test")
        .await;
    provider.set_up(&app, &admin, rule(acme, "link")).await.ok();
    is_in(
        &tells(
            &app,
            &provider,
            |claims| claims["email"] = json!("NORA@Acme.test"),
            Signed::Well,
        )
        .await,
        "/",
    );
    let linked = &events(&admin, "identity.linked").await[0];
    assert_eq!(linked["target"]["id"], nora.id.to_string());
    // Of another organisation, somebody who may do everything, and nobody yet.
    for (email, word) in [
        ("gus@acme.test", "not linked"),
        ("root@acme.test", "not linked"),
        ("new@acme.test", "nobody has opened"),
    ] {
        let change = |claims: &mut Value| {
            claims["email"] = json!(email);
            claims["sub"] = json!(email);
        };
        is_turned_away(
            &tells(&app, &provider, change, Signed::Well).await,
            403,
            word,
        );
    }
    // Deleted, she is nobody; and the e-mail is free.
    let path = format!("/api/v1/users/{}", nora.id);
    admin.delete(&path).await.done();
    let gone = tells(&app, &provider, |_| {}, Signed::Well).await;
    is_turned_away(&gone, 403, "nobody has opened");
}

async fn whoever_is_linked_is_told_by_mail_at_the_address_of_old() {
    let mailbox = Mailbox::start().await;
    let settings = mailbox.settings();
    let settings: Vec<_> = settings.iter().map(String::as_str).collect();
    let at = settings.iter().position(|word| *word == "--public-url");
    let mail = &settings[..at.expect("it is said where Rollcall is")];
    let (app, admin, provider) = start_with(&[mail, &["--smtp-tls", "none"]].concat()).await;
    let acme = app.organisation("Acme").await;
    app.user(acme, BuiltInRole::Member, "nora@acme.test").await;
    provider.set_up(&app, &admin, rule(acme, "link")).await.ok();
    let linked = |mails: Vec<Mail>| {
        let words = "Single sign-on was linked to your account";
        let is_of = |mail: &Mail| mail.header("Subject") == Some(words);
        mails.into_iter().filter(is_of).collect::<Vec<_>>()
    };
    is_in(&tells(&app, &provider, |_| {}, Signed::Well).await, "/");
    let came = linked(mails(&app, &mailbox).await);
    assert_eq!(came.len(), 1);
    assert_eq!(came[0].to, ["nora@acme.test"]);
    assert!(came[0].text.contains("you is you here"), "{}", came[0].text);
    // Once: from then on she is known.
    is_in(&tells(&app, &provider, |_| {}, Signed::Well).await, "/");
    assert_eq!(linked(mails(&app, &mailbox).await).len(), 0);
}

async fn a_lock_holds_for_who_was_on_the_way() {
    let (app, admin, provider, _) = open_to_acme().await;
    is_in(
        &sign_in_elsewhere(&app, &provider, &app.browser(), "nora").await,
        "/",
    );
    let (browser, mut traveller) = (app.browser(), Traveller::default());
    let asked = Asked::of(&traveller.begins(&browser, &[]).await);
    let thief = app.anonymous().at("198.51.100.9");
    for _ in 0..5 {
        thief
            .sign_in_as("nora@acme.test", "a wrong password!")
            .await;
    }
    let claims = provider.claims(&app, &asked, "nora");
    let code = provider.code(&asked, provider.sign("JWT", &claims, Signed::Well));
    let back = traveller
        .returns(&browser, &[("code", &code), ("state", asked.get("state"))])
        .await;
    is_turned_away(&back, 403, "locked or disabled");
    let users = admin.get("/api/v1/users?q=nora").await.ok();
    let id = users["items"][0]["id"].as_str().expect("an id").to_owned();
    admin
        .post(&format!("/api/v1/users/{id}/unlock"), json!({}))
        .await
        .done();
    // The way back was not used up by a refusal; the code was.
    is_in(
        &sign_in_elsewhere(&app, &provider, &app.browser(), "nora").await,
        "/",
    );
    admin
        .patch(&format!("/api/v1/users/{id}"), json!({ "enabled": false }))
        .await
        .ok();
    let disabled = sign_in_elsewhere(&app, &provider, &app.browser(), "nora").await;
    is_turned_away(&disabled, 403, "locked or disabled");
}

async fn somebody_must_have_signed_in_lately_and_well_enough() {
    let (app, admin, provider) = start().await;
    let acme = app.organisation("Acme").await;
    let mut changes = rule(acme, "create");
    changes["max_age_seconds"] = json!(3600);
    changes["acr_values"] = json!(["gold", "silver"]);
    provider.set_up(&app, &admin, changes).await.ok();
    let mut traveller = Traveller::default();
    let asked = Asked::of(&traveller.begins(&app.browser(), &[]).await);
    assert_eq!(
        (asked.get("max_age"), asked.get("acr_values")),
        ("3600", "gold silver")
    );
    let says = |age: Option<i64>, acr: Option<&'static str>| {
        let now = app.now().0 / 1_000_000;
        let (app, provider) = (&app, &provider);
        async move {
            let change = |claims: &mut Value| {
                if let Some(age) = age {
                    claims["auth_time"] = json!(now - age);
                }
                if let Some(acr) = acr {
                    claims["acr"] = json!(acr);
                }
            };
            tells(app, provider, change, Signed::Well).await
        }
    };
    for (age, acr) in [
        (Some(3600 + 61), Some("gold")),
        (None, Some("gold")),
        (Some(10), Some("bronze")),
        (Some(10), None),
    ] {
        is_turned_away(&says(age, acr).await, 403, "Sign in there anew");
    }
    is_in(&says(Some(3600 + 60), Some("silver")).await, "/");
}

async fn the_provider_confirms_who_is_there() {
    let (app, admin, provider) = start().await;
    let acme = app.organisation("Acme").await;
    let rules = rule(acme, "role=administrator create");
    provider.set_up(&app, &admin, rules).await.ok();
    let browser = app.browser();
    is_in(
        &sign_in_elsewhere(&app, &provider, &browser, "nora").await,
        "/",
    );
    let session = browser.session_id().await;
    let wanted = json!({ "name": "ci", "days": 1, "permissions": [] });
    let key = || browser.post("/api/v1/keys", wanted.clone());
    // Nobody says when she signed in there: not just now.
    key().await.problem(403, "reauthentication_required");
    let confirms = |subject: &'static str, age: i64| {
        let (app, provider, browser) = (&app, &provider, &browser);
        async move {
            let mut traveller = Traveller::default();
            let fields = [("confirm", "on"), ("next", "/account/keys")];
            let asked = Asked::of(&traveller.begins(browser, &fields).await);
            assert_eq!((asked.get("prompt"), asked.get("max_age")), ("login", "0"));
            let mut claims = provider.claims(app, &asked, subject);
            claims["auth_time"] = json!(app.now().0 / 1_000_000 - age);
            let code = provider.code(&asked, provider.sign("JWT", &claims, Signed::Well));
            traveller
                .returns(browser, &[("code", &code), ("state", asked.get("state"))])
                .await
        }
    };
    is_turned_away(&confirms("nora", 61).await, 403, "Sign in there anew");
    is_turned_away(
        &confirms("somebody", 0).await,
        403,
        "somebody else than here",
    );
    key().await.problem(403, "reauthentication_required");
    let before = browser.token();
    is_in(&confirms("nora", 0).await, "/account/keys");
    // The same session, by another token: the old one is worth nothing, and no alarm.
    assert_eq!(browser.session_id().await, session);
    assert_ne!(browser.token(), before);
    assert_eq!(key().await.status, 201);
    let copy = app.browser();
    copy.hold(&before.expect("a token"));
    assert!(!copy.is_signed_in().await);
    assert!(browser.is_signed_in().await);
    app.advance(minutes(15));
    key().await.problem(403, "reauthentication_required");
    assert_eq!(events(&admin, "user.reauthenticated").await.len(), 1);
}

async fn a_provider_that_is_away_touches_no_session() {
    let (app, admin, provider, _) = open_to_acme().await;
    let browser = app.browser();
    is_in(
        &sign_in_elsewhere(&app, &provider, &browser, "nora").await,
        "/",
    );
    let (other, mut traveller) = (app.browser(), Traveller::default());
    let asked = Asked::of(&traveller.begins(&other, &[]).await);
    provider.set_away(true);
    let claims = provider.claims(&app, &asked, "nora");
    let code = provider.code(&asked, provider.sign("JWT", &claims, Signed::Well));
    let back = traveller
        .returns(&other, &[("code", &code), ("state", asked.get("state"))])
        .await;
    is_turned_away(&back, 502, "");
    assert!(browser.is_signed_in().await);
    // What is known of it is old now; it is asked for again, in vain, and what was known still leads there.
    app.advance(minutes(29));
    assert!(browser.is_signed_in().await);
    app.advance(minutes(29));
    assert!(browser.is_signed_in().await);
    app.advance(minutes(3));
    let asked = provider.discoveries();
    for _ in 0..5 {
        let begun = Traveller::default().begins(&other, &[]).await;
        assert_eq!(begun.status, 200);
    }
    assert_eq!(
        provider.discoveries(),
        asked + 1,
        "asked once in half a minute"
    );
    // After a restart nothing is known.
    app.restart().await;
    for _ in 0..3 {
        let begun = Traveller::default().begins(&other, &[]).await;
        is_turned_away(&begun, 502, "does not answer just now");
    }
    assert_eq!(provider.discoveries(), asked + 2);
    assert!(browser.is_signed_in().await);
    assert!(admin.get("/api/v1/integrations/providers").await.status == 401);
    provider.set_away(false);
    app.advance(seconds(31));
    is_in(
        &sign_in_elsewhere(&app, &provider, &other, "nora").await,
        "/",
    );
}

async fn a_key_that_is_not_known_is_asked_for_once() {
    let (app, _, provider, _) = open_to_acme().await;
    assert_eq!(provider.discoveries(), 1);
    provider.roll_key();
    app.advance(minutes(5));
    is_in(
        &sign_in_elsewhere(&app, &provider, &app.browser(), "nora").await,
        "/",
    );
    assert_eq!(provider.discoveries(), 2, "for the new key");
    is_in(
        &sign_in_elsewhere(&app, &provider, &app.browser(), "nora").await,
        "/",
    );
    assert_eq!(provider.discoveries(), 2);
    // Made-up keys make nobody ask again and again.
    let header = json!({ "alg": "EdDSA", "typ": "JWT", "kid": "made up" });
    for _ in 0..5 {
        let (browser, mut traveller) = (app.browser(), Traveller::default());
        let asked = Asked::of(&traveller.begins(&browser, &[]).await);
        let claims = provider.claims(&app, &asked, "nora");
        let code = provider.code(&asked, provider.sign_with(&header, &claims, Signed::Well));
        let back = traveller
            .returns(&browser, &[("code", &code), ("state", asked.get("state"))])
            .await;
        is_turned_away(&back, 502, "cannot be trusted");
    }
    assert_eq!(provider.discoveries(), 2, "asked a moment ago");
}

async fn limits_hold_and_the_session_before_is_replaced() {
    let (app, admin, provider, _) = open_to_acme().await;
    let browser = app.browser();
    is_in(
        &sign_in_elsewhere(&app, &provider, &browser, "nora").await,
        "/",
    );
    let first = browser.session_id().await;
    is_in(
        &sign_in_elsewhere(&app, &provider, &browser, "nora").await,
        "/",
    );
    let ended = admin.get(&format!("/api/v1/sessions/{first}")).await.ok();
    assert_eq!(ended["ended"]["reason"], "replaced");
    admin
        .patch(
            "/api/v1/policy",
            json!({ "values": { "most_sessions": 1, "when_full": "refuse" } }),
        )
        .await
        .ok();
    let full = sign_in_elsewhere(&app, &provider, &app.browser(), "nora").await;
    is_turned_away(&full, 409, "one session at a time");
    assert!(browser.is_signed_in().await);
    // In the same browser there is room: that of the session that is replaced.
    is_in(
        &sign_in_elsewhere(&app, &provider, &browser, "nora").await,
        "/",
    );
}

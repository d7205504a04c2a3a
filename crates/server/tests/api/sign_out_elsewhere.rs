//! Signing out with an identity provider: from there, and there from here.

use http::Method;
use rollcall_core::{OrganisationId, SessionId};
use serde_json::{Value, json};

use crate::support::provider::{Provider, Signed, sign_in_elsewhere};
use crate::support::{Answer, Client, TestApp, minutes, seconds};

both_databases!(
    a_sign_out_there_ends_exactly_those_sessions_here,
    a_logout_token_is_believed_if_everything_is_right_and_not_otherwise,
    a_logout_token_is_heard_once,
    whoever_signs_out_here_is_led_to_sign_out_there,
    a_provider_whose_keys_cannot_be_asked_for_is_to_try_again,
);

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

async fn start() -> (TestApp, Client, Provider, OrganisationId) {
    let settings = [
        "--public-url",
        "https://rollcall.example",
        "--allow-outbound",
        "127.0.0.1",
        "--trusted-proxy",
        "192.0.2.0/24",
        "--protect",
        "wiki.example/*",
    ];
    let (app, _, admin) = TestApp::start().with(&settings).with_admin().await;
    let acme = app.organisation("Acme").await;
    let provider = Provider::start().await;
    let rules = json!({ "rules": [format!("domain=acme.test organisation={acme} create")] });
    provider.set_up(&app, &admin, rules).await.ok();
    (app, admin, provider, acme)
}

async fn signed_in(app: &TestApp, provider: &Provider, subject: &str) -> (Client, SessionId) {
    let browser = app.browser();
    let back = sign_in_elsewhere(app, provider, &browser, subject).await;
    assert_eq!(back.status, 303, "{}", back.text());
    let id = browser.session_id().await;
    (browser, id)
}

// All but who it is about.
fn told(app: &TestApp, provider: &Provider) -> Value {
    let now = app.now().0 / 1_000_000;
    json!({
        "iss": provider.issuer, "aud": "rollcall", "iat": now, "exp": now + 120,
        "jti": crate::support::unknown_id().to_string(), "events": { EVENT: {} },
    })
}

async fn tells(app: &TestApp, token: &str) -> Answer {
    let theirs = app.anonymous();
    let ask = theirs.ask(Method::POST, "/auth/back-channel/staff");
    ask.form(&[("logout_token", token)]).await
}

async fn tell(app: &TestApp, provider: &Provider, about: &[(&str, &str)]) -> u16 {
    let mut claims = told(app, provider);
    for (name, value) in about {
        claims[*name] = json!(value);
    }
    let token = provider.sign("logout+jwt", &claims, Signed::Well);
    let answer = tells(app, &token).await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    answer.status
}

async fn reason_of(admin: &Client, id: SessionId) -> Value {
    let session = admin.get(&format!("/api/v1/sessions/{id}")).await.ok();
    session["ended"]["reason"].clone()
}

async fn a_sign_out_there_ends_exactly_those_sessions_here() {
    let (app, admin, provider, acme) = start().await;
    let (nora, noras) = signed_in(&app, &provider, "nora").await;
    let (again, _) = signed_in(&app, &provider, "nora").await;
    let (bo, _) = signed_in(&app, &provider, "bo").await;
    // Nora has a password here, too; that session is none of the provider's business.
    let other = app
        .user(acme, rollcall_core::BuiltInRole::Member, "ada@acme.test")
        .await;
    let by_password = app.browser_of(&other).await;
    // A sid and a sub that do not belong together are about nobody.
    assert_eq!(
        tell(&app, &provider, &[("sid", "nora-1"), ("sub", "bo")]).await,
        200
    );
    assert_eq!(tell(&app, &provider, &[("sid", "nobody-1")]).await, 200);
    assert!(nora.is_signed_in().await && bo.is_signed_in().await);
    assert_eq!(tell(&app, &provider, &[("sid", "nora-1")]).await, 200);
    assert!(!nora.is_signed_in().await);
    assert!(
        !again.is_signed_in().await,
        "both began with that session there"
    );
    assert!(bo.is_signed_in().await && by_password.is_signed_in().await);
    assert_eq!(reason_of(&admin, noras).await, "identity_provider");
    assert_eq!(tell(&app, &provider, &[("sub", "bo")]).await, 200);
    assert!(!bo.is_signed_in().await);
    let said = nora.get("/sign-in").await.text();
    assert!(said.contains("identity provider"), "why, in words");
    let ended = admin
        .get("/api/v1/audit?action=session.ended&page_size=100")
        .await
        .ok();
    assert_eq!(ended["total"], 3);
    let heard = admin
        .get("/api/v1/audit?action=provider.signed_out&page_size=100")
        .await
        .ok();
    let details: Vec<_> = heard["items"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|event| event["detail"].as_str().expect("words").to_owned())
        .collect();
    assert_eq!(
        details,
        [
            "staff: 1 sessions",
            "staff: 2 sessions",
            "staff: 0 sessions",
            "staff: 0 sessions"
        ]
    );
}

async fn a_logout_token_is_believed_if_everything_is_right_and_not_otherwise() {
    type Change = fn(&mut Value);
    let (app, _, provider, _) = start().await;
    let (nora, _) = signed_in(&app, &provider, "nora").await;
    let sound = || {
        let mut claims = told(&app, &provider);
        claims["sid"] = json!("nora-1");
        claims
    };
    let wrong: [(&str, Change); 19] = [
        ("no issuer", |claims| claims["iss"] = Value::Null),
        ("another issuer", |claims| {
            claims["iss"] = json!("https://evil.example")
        }),
        ("no audience", |claims| claims["aud"] = Value::Null),
        ("another audience", |claims| {
            claims["aud"] = json!("somebody")
        }),
        ("audiences without us", |claims| {
            claims["aud"] = json!(["a", "b"])
        }),
        ("no time", |claims| claims["iat"] = Value::Null),
        ("made long ago", |claims| {
            claims["iat"] = json!(claims["iat"].as_i64().expect("s") - 121)
        }),
        ("made tomorrow", |claims| {
            claims["iat"] = json!(claims["iat"].as_i64().expect("s") + 121)
        }),
        ("times beyond all", |claims| claims["iat"] = json!(i64::MAX)),
        ("no end", |claims| claims["exp"] = Value::Null),
        ("over", |claims| {
            claims["exp"] = json!(claims["iat"].as_i64().expect("s") - 60)
        }),
        ("no id", |claims| claims["jti"] = Value::Null),
        ("an empty id", |claims| claims["jti"] = json!("")),
        ("no events", |claims| claims["events"] = Value::Null),
        ("another event", |claims| {
            claims["events"] = json!({ "x": {} })
        }),
        ("an event that is none", |claims| {
            claims["events"] = json!({ EVENT: "yes" })
        }),
        ("a nonce", |claims| claims["nonce"] = json!("x")),
        ("about nobody", |claims| claims["sid"] = Value::Null),
        ("about an empty session", |claims| claims["sid"] = json!("")),
    ];
    for (what, change) in wrong {
        let mut claims = sound();
        change(&mut claims);
        if let Some(claims) = claims.as_object_mut() {
            claims.retain(|_, value| !value.is_null());
        }
        let token = provider.sign("logout+jwt", &claims, Signed::Well);
        let answer = tells(&app, &token).await;
        assert_eq!(answer.status, 400, "{what}");
        assert_eq!(answer.json()["error"], "invalid_request", "{what}");
    }
    // A nonce that is there without a value is there.
    let mut claims = sound();
    claims["nonce"] = Value::Null;
    let with_nonce = provider.sign("logout+jwt", &claims, Signed::Well);
    assert_eq!(tells(&app, &with_nonce).await.status, 400);
    for signed in [Signed::ByAnother, Signed::NotAtAll, Signed::WithPublicKey] {
        let token = provider.sign("logout+jwt", &sound(), signed);
        assert_eq!(tells(&app, &token).await.status, 400, "{signed:?}");
    }
    // Headers: an ID token is none, nor is what names no type or asks for what we do not know.
    for header in [
        json!({ "alg": "EdDSA", "kid": "key-0", "typ": "JWT" }),
        json!({ "alg": "EdDSA", "kid": "key-0" }),
        json!({ "alg": "EdDSA", "kid": "key-1", "typ": "logout+jwt" }),
        json!({ "alg": "EdDSA", "kid": "key-0", "typ": "logout+jwt", "crit": ["exp"] }),
        json!({ "alg": "EdDSA", "kid": "key-0", "typ": "logout+jwt", "b64": false }),
        json!({ "alg": "RS256", "kid": "key-0", "typ": "logout+jwt" }),
        json!({ "alg": "eddsa", "kid": "key-0", "typ": "logout+jwt" }),
        json!({ "kid": "key-0", "typ": "logout+jwt" }),
    ] {
        let token = provider.sign_with(&header, &sound(), Signed::Well);
        assert_eq!(tells(&app, &token).await.status, 400, "{header}");
    }
    // Texts that are no tokens, changed ones among them.
    let good = provider.sign("logout+jwt", &sound(), Signed::Well);
    for at in [0, good.len() / 3, good.len() / 2, good.len() - 1] {
        let mut changed = good.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).expect("text");
        assert_eq!(tells(&app, &changed).await.status, 400, "{at}");
    }
    let unsigned = good.rsplit_once('.').expect("a signature").0.to_owned();
    for text in [
        "x",
        "..",
        "a.b.c",
        &unsigned,
        &format!("{good}.x"),
        &"A".repeat(20_000),
    ] {
        assert_eq!(tells(&app, text).await.status, 400, "{text:.40}");
    }
    for fields in [&[][..], &[("logout_token", "a"), ("logout_token", "b")][..]] {
        let ask = app
            .anonymous()
            .ask(Method::POST, "/auth/back-channel/staff")
            .form(fields)
            .await;
        ask.field("logout_token");
    }
    let nobody = app
        .anonymous()
        .ask(Method::POST, "/auth/back-channel/nobody")
        .form(&[("logout_token", &good)])
        .await;
    assert_eq!(nobody.status, 404);
    let json = app
        .anonymous()
        .post("/auth/back-channel/staff", json!({ "logout_token": good }))
        .await;
    assert_eq!(json.status, 415);
    assert!(nora.is_signed_in().await);
    assert_eq!(tells(&app, &good).await.status, 200);
    assert!(!nora.is_signed_in().await);
}

async fn a_logout_token_is_heard_once() {
    let (app, _, provider, _) = start().await;
    let (nora, _) = signed_in(&app, &provider, "nora").await;
    let mut claims = told(&app, &provider);
    claims["sid"] = json!("nora-1");
    let token = provider.sign("logout+jwt", &claims, Signed::Well);
    assert_eq!(tells(&app, &token).await.status, 200);
    assert!(!nora.is_signed_in().await);
    // She signs in again, there and here; what was heard before ends nothing more.
    let (nora, _) = signed_in(&app, &provider, "nora").await;
    assert_eq!(tells(&app, &token).await.status, 200);
    assert!(nora.is_signed_in().await);
    // Once it would be forgotten, it is too old.
    app.advance(seconds(121));
    assert_eq!(tells(&app, &token).await.status, 400);
    assert!(nora.is_signed_in().await);
}

async fn whoever_signs_out_here_is_led_to_sign_out_there() {
    let (app, admin, provider, _) = start().await;
    let signs_out = |browser: Client| async move {
        let form = browser
            .ask(Method::POST, "/rpc/sign_out")
            .header("accept", "text/html")
            .form(&[("go", "true")])
            .await;
        (form.status, form.header("location").map(str::to_owned))
    };
    let (nora, id) = signed_in(&app, &provider, "nora").await;
    assert_eq!(
        signs_out(nora).await,
        (303, Some("/auth/leave/staff".to_owned()))
    );
    assert_eq!(reason_of(&admin, id).await, "signed_out");
    let leave = app.browser().get("/auth/leave/staff").await;
    assert_eq!(leave.status, 200);
    let there = leave.header("refresh").expect("it leads on").to_owned();
    let wanted = format!(
        "0; url={}/end?client_id=rollcall&post_logout_redirect_uri=https%3A%2F%2Frollcall.example%2Fauth%2Fleft",
        provider.issuer
    );
    assert_eq!(there, wanted);
    let left = app.browser().get("/auth/left").await;
    assert_eq!(
        (left.status, left.header("location")),
        (303, Some("/sign-in"))
    );
    // From an application, and back to it.
    let (nora, _) = signed_in(&app, &provider, "nora").await;
    let out = nora
        .ask(
            Method::POST,
            "/auth/sign-out?return=https://wiki.example/bye",
        )
        .form(&[])
        .await;
    let onward = out.header("location").expect("on").to_owned();
    let leave = app.browser().get(&onward).await;
    let there = leave.header("refresh").expect("it leads on").to_owned();
    assert!(
        there.ends_with("&state=https%3A%2F%2Fwiki.example%2Fbye"),
        "{there}"
    );
    for (state, to) in [
        (
            "https%3A%2F%2Fwiki.example%2Fbye",
            "https://wiki.example/bye",
        ),
        ("https%3A%2F%2Fevil.example%2F", "/sign-in"),
        ("%2F%2Fevil.example", "/sign-in"),
        ("", "/sign-in"),
    ] {
        let left = app
            .browser()
            .get(&format!("/auth/left?state={state}"))
            .await;
        assert_eq!(
            (left.status, left.header("location")),
            (303, Some(to)),
            "{state}"
        );
        let leave = app
            .browser()
            .get(&format!("/auth/leave/staff?return={state}"))
            .await;
        let there = leave.header("refresh").expect("it leads on").to_owned();
        assert_eq!(there.contains("wiki.example"), to.contains("wiki.example"));
        assert!(!there.contains("evil"), "{there}");
    }
    // Where that is not wanted, and for who came in by a password: our own page.
    assert_eq!(signs_out(admin).await, (303, Some("/sign-in".to_owned())));
    let admin = app.browser_of(&app.admin().await).await;
    provider
        .set_up(&app, &admin, json!({ "signs_out": false, "rules": [] }))
        .await
        .ok();
    let (nora, _) = signed_in(&app, &provider, "nora").await;
    assert_eq!(signs_out(nora).await, (303, Some("/sign-in".to_owned())));
    assert_eq!(app.browser().get("/auth/leave/nobody").await.status, 404);
}

async fn a_provider_whose_keys_cannot_be_asked_for_is_to_try_again() {
    let (app, _, provider, _) = start().await;
    let (nora, _) = signed_in(&app, &provider, "nora").await;
    provider.set_away(true);
    // What is known of it is enough.
    app.advance(minutes(1));
    let mut claims = told(&app, &provider);
    claims["sid"] = json!("nora-1");
    let token = provider.sign("logout+jwt", &claims, Signed::Well);
    app.restart().await;
    assert_eq!(tells(&app, &token).await.status, 503);
    assert!(nora.is_signed_in().await);
    provider.set_away(false);
    app.advance(seconds(31));
    assert_eq!(tells(&app, &token).await.status, 200);
    assert!(!nora.is_signed_in().await);
}

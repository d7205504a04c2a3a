//! Setting identity providers up: by whom, with what, and where a file does it.

use http::Method;
use rollcall_core::BuiltInRole;
use serde_json::json;

use crate::support::provider::{PUBLIC, Provider, Traveller, events, start};
use crate::support::{TestApp, hours, minutes};

both_databases!(
    providers_are_set_up_by_platform_administrators_alone,
    a_setup_is_checked_before_it_is_stored,
    a_file_sets_up_a_provider_and_nobody_else_changes_it,
);

async fn providers_are_set_up_by_platform_administrators_alone() {
    let (app, admin, provider) = start().await;
    let acme = app.organisation("Acme").await;
    let ada = app
        .user(acme, BuiltInRole::Administrator, "ada@acme.test")
        .await;
    let ada = app.browser_of(&ada).await;
    let path = "/api/v1/integrations/providers/staff";
    for (method, path) in [
        (Method::GET, "/api/v1/integrations/providers"),
        (Method::GET, path),
        (Method::DELETE, path),
    ] {
        ada.ask(method, path).await.problem(403, "forbidden");
    }
    provider
        .set_up(&app, &ada, json!({}))
        .await
        .problem(403, "forbidden");
    app.advance(minutes(15));
    provider
        .set_up(&app, &admin, json!({}))
        .await
        .problem(403, "reauthentication_required");
    admin.reauthenticate().await;
    let made = provider.set_up(&app, &admin, json!({})).await.ok();
    assert_eq!(
        made["redirect_uri"],
        "https://rollcall.example/auth/callback/staff"
    );
    assert_eq!(
        made["backchannel_logout_uri"],
        "https://rollcall.example/auth/back-channel/staff"
    );
    assert_eq!(
        made["post_logout_redirect_uri"],
        "https://rollcall.example/auth/left"
    );
    assert_eq!(made["secret"], "file:provider");
    assert!(!made.to_string().contains("a secret of both"));
    assert_eq!(admin.get(path).await.ok(), made);
    assert_eq!(
        admin.get("/api/v1/integrations/providers").await.ok(),
        json!([made])
    );
    // Changed; disabled, nobody begins with it.
    let changed = provider
        .set_up(&app, &admin, json!({ "label": "Acme", "enabled": false }))
        .await
        .ok();
    assert_eq!(
        (&changed["label"], &changed["enabled"]),
        (&json!("Acme"), &json!(false))
    );
    let begun = Traveller::default().begins(&app.browser(), &[]).await;
    assert_eq!(begun.status, 404);
    admin.delete(path).await.done();
    admin.delete(path).await.problem(404, "not_found");
    admin.get(path).await.problem(404, "not_found");
    let saved = events(&admin, "provider.saved").await;
    let outcomes: Vec<_> = saved
        .iter()
        .map(|event| event["outcome"].as_str())
        .collect();
    assert_eq!(
        outcomes,
        [
            Some("success"),
            Some("success"),
            Some("refused"),
            Some("not_permitted")
        ]
    );
    assert_eq!(events(&admin, "provider.removed").await.len(), 3);
}

async fn a_setup_is_checked_before_it_is_stored() {
    let (app, admin, provider) = start().await;
    let acme = app.organisation("Acme").await;
    let long = "x".repeat(501);
    for (changes, field) in [
        (json!({ "label": " " }), "label"),
        (json!({ "label": "x".repeat(61) }), "label"),
        (json!({ "issuer": "" }), "issuer"),
        (json!({ "issuer": "login.example.org" }), "issuer"),
        (
            json!({ "issuer": format!("{}?x=y", provider.issuer) }),
            "issuer",
        ),
        // Somebody else answers there, or nobody may ask there.
        (
            json!({ "issuer": format!("{}/", provider.issuer) }),
            "issuer",
        ),
        (json!({ "issuer": "https://10.0.0.1" }), "issuer"),
        (
            json!({ "issuer": "https://169.254.169.254/latest" }),
            "issuer",
        ),
        (json!({ "client_id": "a b" }), "client_id"),
        (json!({ "client_id": long }), "client_id"),
        (json!({ "secret": "s3cret" }), "secret"),
        (json!({ "secret": "file:../audit.key" }), "secret"),
        (json!({ "secret": "file:missing" }), "secret"),
        (json!({ "secret": "env:PATH" }), "secret"),
        (json!({ "scopes": ["a b"] }), "scopes"),
        (json!({ "scopes": vec!["a"; 51] }), "scopes"),
        (json!({ "acr_values": [""] }), "acr_values"),
        (json!({ "rules": ["create"] }), "rules"),
        (
            json!({ "rules": [format!("organisation={acme} role=nobody create")] }),
            "rules",
        ),
        (
            json!({ "rules": [format!("organisation={} create", crate::support::unknown_id())] }),
            "rules",
        ),
        (
            json!({ "rules": [format!("organisation={acme} role=platform_administrator create")] }),
            "rules",
        ),
        (json!({ "max_age_seconds": -1 }), "max_age_seconds"),
        (json!({ "colour": "red" }), "colour"),
    ] {
        provider.set_up(&app, &admin, changes).await.field(field);
    }
    provider.set_away(true);
    app.advance(hours(2));
    let admin = app.browser_of(&app.admin().await).await;
    provider
        .set_up(&app, &admin, json!({}))
        .await
        .problem(502, "provider_away");
    let bad_key = admin
        .ask(Method::PUT, "/api/v1/integrations/providers/Staff")
        .json(&provider.setup(&[]))
        .await;
    bad_key.problem(404, "not_found");
    assert_eq!(
        admin.get("/api/v1/integrations/providers").await.ok(),
        json!([])
    );
}

async fn a_file_sets_up_a_provider_and_nobody_else_changes_it() {
    let provider = Provider::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("staff.toml");
    let text = format!(
        "key = 'staff'\nlabel = 'From a file'\nissuer = '{}'\nclient_id = 'rollcall'\n",
        provider.issuer
    );
    std::fs::write(&file, text).expect("written");
    let settings = [
        "--public-url",
        PUBLIC,
        "--allow-outbound",
        "127.0.0.1",
        "--identity-provider",
        &file.display().to_string(),
    ];
    let (app, _, admin) = TestApp::start().with(&settings).with_admin().await;
    let listed = admin.get("/api/v1/integrations/providers").await.ok();
    assert_eq!(
        (&listed[0]["label"], &listed[0]["from_file"]),
        (&json!("From a file"), &json!(true))
    );
    provider.set_up(&app, &admin, json!({})).await.field("key");
    admin
        .delete("/api/v1/integrations/providers/staff")
        .await
        .problem(404, "not_found");
    let begun = Traveller::default().begins(&app.browser(), &[]).await;
    assert!(begun.text().contains("Going to From a file"));
}

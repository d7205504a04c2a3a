//! For those who run the server.

use crate::support::TestApp;

both_databases!(
    health_and_readiness_tell_nothing_about_the_server,
    the_figures_count_what_happened,
    live_sessions_are_counted,
);

async fn health_and_readiness_tell_nothing_about_the_server() {
    let (_, anon, _) = TestApp::start().with_admin().await;
    for path in ["/healthz", "/readyz"] {
        assert_eq!(
            anon.get(path).await.ok(),
            serde_json::json!({ "status": "ok" })
        );
    }
    anon.get("/healthz")
        .header("cookie", "__Host-rollcall=x; __Host-rollcall=y")
        .await
        .ok();
}

async fn the_figures_count_what_happened() {
    let (app, anon, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    // The figures are the process's, so other tests count too: only growth can be told.
    let figure = async |name: &str| {
        let text = anon.get("/metrics").await.text();
        let line = text
            .lines()
            .find(|line| line.starts_with(name))
            .map(str::to_owned);
        line.and_then(|line| {
            line.rsplit(' ')
                .next()
                .and_then(|number| number.parse::<f64>().ok())
        })
        .unwrap_or(0.0)
    };
    let names = [
        "rollcall_sign_ins_total{outcome=\"success\"}",
        "rollcall_sign_ins_total{outcome=\"wrong_password\"}",
        "rollcall_sessions_ended_total{reason=\"ended_by_administrator\"}",
        "rollcall_http_request_seconds_count{route=\"/api/v1/sessions/{id}\",method=\"DELETE\",status=\"2xx\"}",
    ];
    let mut before = Vec::new();
    for name in names {
        before.push(figure(name).await);
    }
    let signed_in = anon.sign_in(&nora).await.ok();
    anon.sign_in_as(&nora.email, "a wrong password")
        .await
        .problem(401, "sign_in_failed");
    admin
        .delete(&format!(
            "/api/v1/sessions/{}",
            signed_in["session"]["id"].as_str().expect("an id")
        ))
        .await
        .done();
    for (name, before) in names.iter().zip(before) {
        assert!(
            figure(name).await > before,
            "{name}: {before}\n{}",
            anon.get("/metrics").await.text()
        );
    }
    let text = anon.get("/metrics").await.text();
    for word in [
        nora.email.as_str(),
        "rc_s_",
        TestApp::ADMIN,
        &nora.id.to_string(),
    ] {
        assert!(!text.contains(word), "{word}");
    }
}

async fn live_sessions_are_counted() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    for _ in 0..3 {
        app.program_of(&nora).await;
    }
    assert_eq!(app.service().count_live().await, Ok(4));
    app.advance(crate::support::minutes(30));
    assert_eq!(
        app.service().count_live().await,
        Ok(0),
        "expired, though nobody has swept"
    );
}

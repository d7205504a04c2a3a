//! What a reset password, a disabled or deleted user and a disabled organisation mean for every credential:
//! refused from the next request on, and never accepted again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rollcall_core::{BuiltInRole, Kind, Permission, Permissions};
use rollcall_server::clock::{OsRandom, Random};
use serde_json::json;
use tokio::sync::mpsc;

use crate::support::{Answer, Client, NewRow, PASSWORD, Person, TestApp, minutes, seconds};

both_databases!(
    every_credential_is_refused_from_the_next_request_on_and_none_is_revived,
    a_sign_in_on_its_way_is_overtaken,
    acts_at_once_wait_for_each_other_and_never_in_a_circle,
    organisations_are_listed_created_renamed_and_disabled,
    a_disabled_organisation_refuses_sign_in_and_other_organisations_go_on,
    the_command_line_disables_enables_and_deletes,
);

/// One way to take everything away, and to give it back where that is possible.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    Reset,
    Disable,
    Delete,
    DisableOrganisation,
}

impl Way {
    const ALL: [Self; 4] = [
        Self::Reset,
        Self::Disable,
        Self::Delete,
        Self::DisableOrganisation,
    ];

    async fn take(self, root: &Client, person: &Person) {
        let user = format!("/api/v1/users/{}", person.id);
        let organisation = format!("/api/v1/organisations/{}", person.organisation);
        let off = json!({ "enabled": false });
        match self {
            Self::Reset => {
                let path = format!("{user}/reset-password");
                root.ask(http::Method::POST, &path).await.ok();
            }
            Self::Disable => {
                root.patch(&user, off).await.ok();
            }
            Self::Delete => root.delete(&user).await.done(),
            Self::DisableOrganisation => {
                root.patch(&organisation, off).await.ok();
            }
        }
    }

    async fn give_back(self, root: &Client, person: &Person) {
        let user = format!("/api/v1/users/{}", person.id);
        let organisation = format!("/api/v1/organisations/{}", person.organisation);
        let on = json!({ "enabled": true });
        match self {
            Self::Reset | Self::Delete => {}
            Self::Disable => {
                root.patch(&user, on).await.ok();
            }
            Self::DisableOrganisation => {
                root.patch(&organisation, on).await.ok();
            }
        }
    }

    fn reason(self) -> &'static str {
        match self {
            Self::Reset => "password_reset",
            Self::Disable => "user_disabled",
            Self::Delete => "user_deleted",
            Self::DisableOrganisation => "organisation_disabled",
        }
    }
}

async fn refused(clients: &[Client], what: &str) {
    for client in clients {
        assert!(!client.is_signed_in().await, "{what}");
        let page = client
            .get("/account/sessions")
            .header("accept", "text/html")
            .await;
        assert_eq!(page.status, 303, "{what}");
        let call = client
            .ask(http::Method::POST, "/rpc/me")
            .header("accept", "application/json");
        assert_eq!(call.form(&[]).await.status, 401, "{what}");
    }
}

async fn every_credential_is_refused_from_the_next_request_on_and_none_is_revived() {
    let (app, anon, root) = TestApp::start().with_admin().await;
    for (number, way) in Way::ALL.into_iter().enumerate() {
        let home = app.organisation(&format!("Acme {number}")).await;
        let email = format!("nora{number}@acme.test");
        let nora = app.user(home, BuiltInRole::Administrator, &email).await;
        let by_password = app.browser();
        by_password.sign_in(&nora).await.ok();
        let keeps = NewRow {
            keep: true,
            ..NewRow::default()
        };
        let client_row = NewRow {
            kind: Kind::Client,
            ..NewRow::default()
        };
        let (kept, kept_token) = app.open_session(&nora, keeps).await;
        let (_, connected) = app.open_session(&nora, client_row).await;
        let clients = [
            by_password,
            app.browser_of(&nora).await,
            app.program_of(&nora).await,
            app.holding(&kept_token),
            app.holding(&connected),
        ];
        for client in &clients {
            // In the cache by then, so that it is the cache that must forget.
            assert!(client.is_signed_in().await, "{way:?}");
        }
        way.take(&root, &nora).await;
        refused(&clients, &format!("{way:?}")).await;
        let signing_in = anon.sign_in(&nora).await;
        signing_in.problem(401, "sign_in_failed");
        let ended = root.get(&format!("/api/v1/sessions/{kept}")).await.ok();
        assert_eq!(ended["ended"]["reason"], way.reason());
        assert_eq!(ended["ended"]["at"], app.now().to_string());
        app.advance(seconds(10));
        way.give_back(&root, &nora).await;
        refused(&clients, &format!("{way:?}, given back")).await;
        app.service().sweep().await.expect("the sweep works");
        refused(&clients, &format!("{way:?}, swept")).await;
        let ended = root.get(&format!("/api/v1/sessions/{kept}")).await.ok();
        assert_eq!(ended["ended"]["reason"], way.reason());
        let may_again = matches!(way, Way::Disable | Way::DisableOrganisation);
        assert_eq!(
            anon.sign_in(&nora).await.status == 200,
            may_again,
            "{way:?}"
        );
        app.restart().await;
        refused(&clients, &format!("{way:?}, started again")).await;
    }
}

/// Stops the first who asks for randomness once it is shut: a sign-in does between its password and its
/// session.
struct Gate {
    shut: AtomicBool,
    waiting: mpsc::UnboundedSender<std::sync::mpsc::Sender<()>>,
}

impl Random for Gate {
    fn fill(&self, bytes: &mut [u8]) {
        if self.shut.swap(false, Ordering::AcqRel) {
            let (open, opened) = std::sync::mpsc::channel();
            self.waiting.send(open).expect("the test waits");
            opened.recv().expect("the test opens the gate");
        }
        OsRandom.fill(bytes);
    }
}

// The password is compared before, the session is stored after: whatever happens in between counts.
async fn a_sign_in_on_its_way_is_overtaken() {
    let (waiting, mut arrived) = mpsc::unbounded_channel();
    let shut = AtomicBool::new(false);
    let gate = Arc::new(Gate { shut, waiting });
    let (app, anon, root) = TestApp::start().random(gate.clone()).with_admin().await;
    for (number, way) in Way::ALL.into_iter().enumerate() {
        for returned in [false, true] {
            let home = app.organisation(&format!("Acme {number} {returned}")).await;
            let email = format!("nora{number}{returned}@acme.test");
            let nora = app.user(home, BuiltInRole::Member, &email).await;
            let browser = Arc::new(app.browser());
            gate.shut.store(true, Ordering::Release);
            let signing_in = tokio::spawn({
                let browser = browser.clone();
                async move { browser.sign_in_as(&email, PASSWORD).await }
            });
            let open = arrived.recv().await.expect("the sign-in arrives");
            way.take(&root, &nora).await;
            if returned {
                way.give_back(&root, &nora).await;
            }
            open.send(()).expect("the sign-in waits");
            let answer = signing_in.await.expect("the sign-in is answered");
            let may_again = returned && matches!(way, Way::Disable | Way::DisableOrganisation);
            if !may_again {
                answer.problem(401, "sign_in_failed");
                assert!(browser.token().is_none());
            }
            // What began before it was given back is not worth more than what was there.
            assert!(!browser.is_signed_in().await, "{way:?} {returned}");
            let active = format!("/api/v1/users?active=true&q={}", nora.email);
            assert_eq!(
                root.get(&active).await.ok()["total"],
                0,
                "{way:?} {returned}"
            );
        }
    }
    // While disabled, a session that is stored all the same is dead, and stays so.
    let home = app.organisation("Late").await;
    let nora = app.user(home, BuiltInRole::Member, "late@acme.test").await;
    for way in [Way::Disable, Way::DisableOrganisation] {
        way.take(&root, &nora).await;
        app.advance(seconds(1));
        let (_, late) = app.open_session(&nora, NewRow::default()).await;
        let late = [app.holding(&late)];
        assert!(!late[0].is_signed_in().await);
        app.advance(seconds(1));
        way.give_back(&root, &nora).await;
        assert!(!late[0].is_signed_in().await, "{way:?}");
        anon.sign_in(&nora).await.ok();
    }
}

// Each of these holds several rows. Were they taken in different orders, PostgreSQL would end one of two that wait
// for each other, and its caller would see 503.
async fn acts_at_once_wait_for_each_other_and_never_in_a_circle() {
    let (app, anon, root) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let held = Permissions::of(&[Permission::SessionsView]);
    let key = app.role(nora.organisation, "Watcher", held).await;
    let user = format!("/api/v1/users/{}", nora.id);
    let role = format!("/api/v1/roles/{}", key.0);
    for round in 0..15 {
        let watches = round % 2 == 0;
        let edit = json!({
            "name": format!("Nora {round}"),
            "email": format!("nora{round}@acme.test"),
            "roles": if watches { vec![key.0.as_str()] } else { vec![] },
        });
        let permissions = if watches {
            vec!["sessions.view"]
        } else {
            vec!["sessions.view", "audit.view"]
        };
        let unlock = format!("{user}/unlock");
        let (edited, role, unlocked, signed_in, missed, ended) = tokio::join!(
            root.patch(&user, edit),
            root.patch(&role, json!({ "permissions": permissions })),
            root.ask(http::Method::POST, &unlock),
            anon.sign_in_as(&nora.email, PASSWORD),
            anon.sign_in_as(&nora.email, "something else"),
            root.delete(&format!("{user}/sessions")),
        );
        edited.ok();
        role.ok();
        unlocked.done();
        ended.done();
        // The e-mail may be another by now.
        assert!(
            matches!(signed_in.status, 200 | 401),
            "{}",
            signed_in.text()
        );
        missed.problem(401, "sign_in_failed");
        root.patch(&user, json!({ "email": nora.email })).await.ok();
        // So that the wrong passwords are not too many for one address.
        app.advance(minutes(6));
        root.reauthenticate().await;
    }
}

async fn organisations_are_listed_created_renamed_and_disabled() {
    let (app, _, root) = TestApp::start().with_admin().await;
    let made = root
        .post("/api/v1/organisations", json!({ "name": "  Acme " }))
        .await;
    assert_eq!(made.status, 201, "{}", made.text());
    let acme = made.json();
    assert_eq!(acme["name"], "Acme");
    let id: rollcall_core::OrganisationId =
        acme["id"].as_str().expect("an id").parse().expect("an id");
    for (name, field) in [
        ("", "name"),
        (" ", "name"),
        ("a\nb", "name"),
        (&*"x".repeat(101), "name"),
    ] {
        root.post("/api/v1/organisations", json!({ "name": name }))
            .await
            .field(field);
    }
    let again = root
        .post("/api/v1/organisations", json!({ "name": "Acme" }))
        .await;
    again.problem(409, "name_taken");
    let nora = app.user(id, BuiltInRole::Member, "nora@acme.test").await;
    let gone = app.user(id, BuiltInRole::Member, "gone@acme.test").await;
    root.delete(&format!("/api/v1/users/{}", gone.id))
        .await
        .done();
    let (one, _) = app.open_session(&nora, NewRow::default()).await;
    app.open_session(&nora, NewRow::default()).await;
    root.delete(&format!("/api/v1/sessions/{one}")).await.done();
    let path = format!("/api/v1/organisations/{id}");
    let sizes = |one: &serde_json::Value| {
        (
            one["users"].clone(),
            one["active_sessions"].clone(),
            one["sessions"].clone(),
        )
    };
    let found = root.get(&path).await.ok();
    assert_eq!(sizes(&found), (json!(1), json!(1), json!(2)));
    let list = root.get("/api/v1/organisations?q=AC").await.ok();
    assert_eq!((&list["total"], &list["items"][0]), (&json!(1), &found));
    let all = root.get("/api/v1/organisations").await.ok();
    let names: Vec<_> = all["items"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| one["name"].clone())
        .collect();
    assert_eq!(names, [json!("Acme"), json!("Default")]);
    root.patch(&path, json!({ "name": "Default" }))
        .await
        .problem(409, "name_taken");
    let renamed = root
        .patch(&path, json!({ "name": "Acme Works" }))
        .await
        .ok();
    assert_eq!(renamed["name"], "Acme Works");
    let session = root.get("/api/v1/sessions?q=nora").await.ok();
    assert_eq!(session["items"][0]["organisation"]["name"], "Acme Works");
    let off = root.patch(&path, json!({ "enabled": false })).await.ok();
    assert_eq!(off["enabled"], false);
    assert_eq!(sizes(&off), (json!(1), json!(0), json!(2)));
    app.service().sweep().await.expect("the sweep works");
    assert_eq!(
        sizes(&root.get(&path).await.ok()),
        (json!(1), json!(0), json!(2))
    );
    // The programs' names of what cannot be changed are refused.
    for (name, value) in [
        ("id", json!(id)),
        ("created_at", json!("2026-01-01T00:00:00Z")),
        ("users", json!(1)),
    ] {
        root.patch(&path, json!({ name: value })).await.field(name);
    }
}

async fn a_disabled_organisation_refuses_sign_in_and_other_organisations_go_on() {
    let (app, anon, root) = TestApp::start().with_admin().await;
    let (acme, globex) = (
        app.organisation("Acme").await,
        app.organisation("Globex").await,
    );
    let nora = app.user(acme, BuiltInRole::Member, "nora@acme.test").await;
    let eve = app
        .user(globex, BuiltInRole::Member, "eve@globex.test")
        .await;
    let (here, there) = (app.browser_of(&nora).await, app.browser_of(&eve).await);
    let path = format!("/api/v1/organisations/{acme}");
    root.patch(&path, json!({ "enabled": false })).await.ok();
    assert!(!here.is_signed_in().await);
    assert!(there.is_signed_in().await);
    anon.sign_in(&nora).await.problem(401, "sign_in_failed");
    anon.sign_in_as(&eve.email, PASSWORD).await.ok();
    // The sign-in page says why, in words.
    let page: Answer = here.get("/sign-in").header("accept", "text/html").await;
    assert!(page.text().contains("organisation"), "{}", page.text());
    let users = root.get("/api/v1/users?q=nora").await.ok();
    assert_eq!(users["items"][0]["open_sessions"], 0);
    // A user of a disabled organisation is enabled; only the organisation is not.
    assert_eq!(users["items"][0]["enabled"], true);
}

async fn the_command_line_disables_enables_and_deletes() {
    use rollcall_core::Error;
    use rollcall_server::service::admin::AccountChange::{Delete, Disable, Enable};
    let (app, anon, root) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let (_, token) = app.open_session(&nora, NewRow::default()).await;
    let change = async |email: &str, change| app.service().change_account(email, change).await;
    assert_eq!(change(" NORA@acme.test", Disable).await, Ok(true));
    assert_eq!(change(&nora.email, Disable).await, Ok(false));
    assert!(!app.holding(&token).is_signed_in().await);
    anon.sign_in(&nora).await.problem(401, "sign_in_failed");
    assert_eq!(change(&nora.email, Enable).await, Ok(true));
    assert_eq!(change(&nora.email, Enable).await, Ok(false));
    assert!(!app.holding(&token).is_signed_in().await);
    anon.sign_in(&nora).await.ok();
    assert_eq!(change(&nora.email, Delete).await, Ok(true));
    assert_eq!(change(&nora.email, Delete).await, Err(Error::NotFound));
    for last in [Disable, Delete] {
        let refused = change(TestApp::ADMIN, last).await;
        assert_eq!(refused, Err(Error::LastAdministrator));
    }
    assert!(root.is_signed_in().await);
    let events = root.get("/api/v1/audit?action=user.deleted").await.ok();
    assert_eq!(events["items"][0]["detail"], "command line");
}

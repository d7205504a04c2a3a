//! However a session ends, receivers are told exactly once, with the reason that the session has.

use std::collections::{BTreeMap, BTreeSet};

use rollcall_core::{BuiltInRole, EndReason, OrganisationId, Permission};
use serde_json::{Value, json};

use crate::support::inbox::Inbox;
use crate::support::{Client, NewRow, PASSWORD, Person, TestApp, hours, minutes, seconds};

both_databases!(
    however_a_session_ends_it_is_told_once,
    an_end_of_everything_is_told_session_by_session,
);

/// A server with everybody that the ways to end a session need.
struct Stage {
    app: TestApp,
    root: Client,
    people: u32,
    organisation: OrganisationId,
}

impl Stage {
    // Somebody of whom nobody else is in the way.
    async fn somebody(&mut self) -> Person {
        self.people += 1;
        let email = format!("nora{}@acme.test", self.people);
        self.app
            .user(self.organisation, BuiltInRole::Member, &email)
            .await
    }

    async fn signed_in(&mut self) -> (Person, Client) {
        let person = self.somebody().await;
        let client = self.app.program_of(&person).await;
        (person, client)
    }

    // The administrator's own session does not last as long as the test.
    async fn renew(&mut self) {
        self.root = self.app.browser_of(&self.app.admin().await).await;
    }

    /// Ends at least one session in this way.
    async fn end(&mut self, reason: EndReason) {
        let app = self.app.clone();
        match reason {
            EndReason::SignedOut => {
                let (_, client) = self.signed_in().await;
                client.post("/api/v1/sign-out", json!({})).await.done();
                // By whoever has the token, too.
                let (_, client) = self.signed_in().await;
                let token = client.token().expect("a token");
                let ask = app.anonymous();
                let ask = ask.ask(http::Method::POST, "/api/v1/revoke");
                assert_eq!(ask.form(&[("token", token.as_str())]).await.status, 200);
            }
            EndReason::EndedByUser => {
                let (person, client) = self.signed_in().await;
                let other = app.program_of(&person).await.session_id().await;
                let path = format!("/api/v1/me/sessions/{other}");
                client.delete(&path).await.done();
                app.program_of(&person).await;
                let others = "/api/v1/me/sessions?except=current";
                client.delete(others).await.done();
                client.delete("/api/v1/me/sessions").await.done();
            }
            EndReason::EndedByAdministrator => {
                let (person, client) = self.signed_in().await;
                let id = client.session_id().await;
                let path = format!("/api/v1/sessions/{id}");
                self.root.delete(&path).await.done();
                app.program_of(&person).await;
                let path = format!("/api/v1/users/{}/sessions", person.id);
                self.root.delete(&path).await.done();
                let sealed = app.program_of(&person).await.session_id().await;
                let preview = json!({ "ids": [sealed] });
                let preview = self
                    .root
                    .post("/api/v1/sessions/end-preview", preview)
                    .await
                    .ok();
                let run = json!({ "preview": preview["id"] });
                self.root.post("/api/v1/sessions/end", run).await.ok();
                app.program_of(&person).await;
                let all = json!({ "scope": "user", "id": person.id });
                self.root.post("/api/v1/sessions/end-all", all).await.ok();
                app.program_of(&person).await;
                let path = format!("/api/v1/users/{}/force-logout", person.id);
                self.root.post(&path, json!({})).await.ok();
            }
            EndReason::Replaced => {
                let person = self.somebody().await;
                let browser = app.browser();
                browser.sign_in(&person).await.ok();
                browser.sign_in(&person).await.ok();
            }
            EndReason::IdleTimeout => {
                self.signed_in().await;
                app.advance(minutes(31));
            }
            EndReason::AbsoluteTimeout => {
                let (_, client) = self.signed_in().await;
                for _ in 0..72 {
                    app.advance(minutes(20));
                    client.get("/api/v1/me").await;
                }
                app.advance(hours(1));
            }
            EndReason::PasswordChanged => {
                let (person, client) = self.signed_in().await;
                app.program_of(&person).await;
                let passwords = json!({ "current_password": PASSWORD, "new_password": "nine loud cranes at dawn" });
                client.post("/api/v1/me/password", passwords).await.done();
            }
            EndReason::PasswordReset => {
                let (person, _) = self.signed_in().await;
                let path = format!("/api/v1/users/{}/reset-password", person.id);
                self.root.post(&path, json!({})).await.ok();
            }
            EndReason::UserDisabled => {
                let (person, _) = self.signed_in().await;
                let path = format!("/api/v1/users/{}", person.id);
                let off = json!({ "enabled": false });
                self.root.patch(&path, off).await.ok();
            }
            EndReason::UserDeleted => {
                let (person, _) = self.signed_in().await;
                let path = format!("/api/v1/users/{}", person.id);
                self.root.delete(&path).await.done();
            }
            EndReason::UserMoved => {
                let (person, _) = self.signed_in().await;
                let there = app.organisation("Initech").await;
                let path = format!("/api/v1/users/{}", person.id);
                let away = json!({ "organisation": there });
                self.root.patch(&path, away).await.ok();
            }
            EndReason::OrganisationDisabled => {
                let stranger = app.stranger().await;
                app.program_of(&stranger).await;
                let path = format!("/api/v1/organisations/{}", stranger.organisation);
                let off = json!({ "enabled": false });
                self.root.patch(&path, off).await.ok();
            }
            EndReason::Limit => {
                let person = self.somebody().await;
                let values = json!({ "most_sessions": 1, "when_full": "end_oldest" });
                let limit = json!({ "values": values });
                self.root.patch("/api/v1/policy", limit).await.ok();
                for _ in 0..2 {
                    app.browser().sign_in(&person).await.ok();
                }
                let none = json!({ "values": { "most_sessions": null, "when_full": null } });
                self.root.patch("/api/v1/policy", none).await.ok();
            }
            EndReason::TokenReuse => {
                let (_, client) = self.signed_in().await;
                let first = client.token().expect("a token");
                for _ in 0..2 {
                    app.advance(minutes(6));
                    client.get("/api/v1/me").await.ok();
                }
                app.advance(seconds(30));
                let thief = app.holding(&first);
                thief
                    .get("/api/v1/me")
                    .await
                    .problem(401, "unauthenticated");
            }
            EndReason::ClientDisconnected => {
                let person = self.somebody().await;
                let runner = app.runner(&person).await;
                let path = runner.path("/disconnect");
                self.root.post(&path, json!({})).await.ok();
                // With its key, too.
                let (key, secret) = app.api_key(&person, &[Permission::ClientsRegister]).await;
                app.register(&app.holding(&secret)).await;
                let path = format!("/api/v1/keys/{key}");
                self.root.delete(&path).await.done();
            }
            // By an identity provider or by what stands in an e-mail: stored as here, and done for real in tests of their own.
            other => {
                let (_, client) = self.signed_in().await;
                app.store_end(client.session_id().await, other).await;
            }
        }
        app.service().sweep().await.expect("the database answers");
    }
}

async fn ended(root: &Client) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for page in 1.. {
        let path = format!("/api/v1/sessions?state=ended&page_size=100&page={page}");
        let list = root.get(&path).await.ok();
        let items = list["items"].as_array().expect("a list").clone();
        if items.is_empty() {
            break;
        }
        for session in items {
            let id = session["id"].as_str().expect("an id").to_owned();
            found.insert(id, session["ended"].clone());
        }
    }
    found
}

async fn however_a_session_ends_it_is_told_once() {
    let settings = ["--allow-outbound", "127.0.0.1"];
    let (app, _, root) = TestApp::start().with(&settings).with_admin().await;
    let inbox = Inbox::start().await;
    inbox.join(&root, "billing", json!({})).await;
    let organisation = app.organisation("Acme").await;
    let mut stage = Stage {
        app: app.clone(),
        root,
        people: 0,
        organisation,
    };
    for reason in EndReason::ALL {
        stage.renew().await;
        stage.end(*reason).await;
        app.service().tell_all().await.expect("it is reachable");
    }
    stage.renew().await;
    let ended = ended(&stage.root).await;
    let mut told = BTreeMap::new();
    let mut reasons = BTreeSet::new();
    for heard in inbox.heard() {
        let event = heard.json();
        let data = &event["data"];
        let id = data["session"]["id"].as_str().expect("an id").to_owned();
        let reason = data["reason"].as_str().expect("a word");
        reasons.insert(EndReason::from_name(reason).expect("a reason").as_str());
        let said = (data["reason"].clone(), data["ended_at"].clone());
        assert!(told.insert(id.clone(), said).is_none(), "{id} twice");
    }
    let expected: BTreeMap<_, _> = ended
        .iter()
        .map(|(id, end)| (id.clone(), (end["reason"].clone(), end["at"].clone())))
        .collect();
    assert_eq!(told, expected);
    let all: BTreeSet<_> = EndReason::ALL.iter().map(|one| one.as_str()).collect();
    assert_eq!(reasons, all, "every reason was seen");
}

async fn an_end_of_everything_is_told_session_by_session() {
    let settings = ["--allow-outbound", "127.0.0.1"];
    let (app, _, root) = TestApp::start().with(&settings).with_admin().await;
    let inbox = Inbox::start().await;
    inbox.join(&root, "billing", json!({})).await;
    let nora = app.member().await;
    let mut open = app.open_sessions(&nora, vec![NewRow::default(); 600]).await;
    open.push(root.session_id().await);
    let all = json!({ "scope": "installation" });
    root.post("/api/v1/sessions/end-all", all).await.ok();
    app.service().sweep().await.expect("the database answers");
    app.service().tell_all().await.expect("it is reachable");
    let told: BTreeSet<_> = inbox.ids().into_iter().collect();
    let expected: BTreeSet<_> = open.iter().map(|id| format!("ended-{id}")).collect();
    assert_eq!(told, expected);
    assert_eq!(inbox.heard().len(), expected.len(), "each once");
}

//! Users: creating, editing, moving, unlocking; what the lists show; who may do what to whom.

use rollcall_core::{BuiltInRole, Permission, Permissions};
use serde_json::{Value, json};

use crate::support::{Client, NewRow, PASSWORD, Person, TestApp, minutes, seconds};

both_databases!(
    a_user_is_created_signs_in_with_the_one_time_password_and_changes_it,
    an_e_mail_is_taken_on_the_whole_server_until_its_user_is_deleted,
    what_cannot_be_a_user_is_refused_by_field,
    a_lock_goes_along_with_a_changed_e_mail,
    a_move_ends_all_sessions_and_leaves_own_roles_behind,
    a_change_of_roles_takes_effect_on_the_next_request,
    a_quality_manager_with_administrator_as_a_secondary_role_unlocks_nobody,
    nobody_promotes_themselves_or_touches_who_has_more,
    whoever_may_only_look_is_offered_nothing,
    the_last_platform_administrator_stays,
    every_act_is_one_event_and_refusals_are_events_too,
    lists_search_filter_sort_and_page,
    open_sessions_are_counted_as_they_live,
);

/// The address of a user.
fn at(person: &Person) -> String {
    format!("/api/v1/users/{}", person.id)
}

struct Acme {
    ada: Person,
    nora: Person,
    admin: Client,
}

// Acme with an administrator, who is signed in, and a member.
async fn acme(app: &TestApp) -> Acme {
    let home = app.organisation("Acme").await;
    let ada = app
        .user(home, BuiltInRole::Administrator, "ada@acme.test")
        .await;
    let nora = app.user(home, BuiltInRole::Member, "nora@acme.test").await;
    let admin = app.browser_of(&ada).await;
    Acme { ada, nora, admin }
}

async fn lock(app: &TestApp, email: &str) {
    let guesser = app.anonymous().at("198.51.100.23");
    for _ in 0..5 {
        let refused = guesser.sign_in_as(email, "a wrong password").await;
        refused.problem(401, "sign_in_failed");
    }
}

async fn a_user_is_created_signs_in_with_the_one_time_password_and_changes_it() {
    let (app, anon, _) = TestApp::start().with_admin().await;
    let Acme { ada, admin, .. } = acme(&app).await;
    let body = json!({ "email": " Bo.Berg@Acme.test ", "role": "session_manager" });
    let created = admin.post("/api/v1/users", body).await;
    assert_eq!(created.status, 201, "{}", created.text());
    let created = created.json();
    let user = &created["user"];
    assert_eq!(user["email"], "bo.berg@acme.test");
    assert_eq!(user["name"], "bo.berg");
    assert_eq!(user["organisation"]["id"], json!(ada.organisation));
    assert_eq!(user["role"]["name"], "Session manager");
    assert_eq!(
        (&user["enabled"], &user["password_change_required"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(user["last_sign_in_at"], Value::Null);
    let password = created["one_time_password"].as_str().expect("a password");
    // It is shown this once.
    let address = format!("/api/v1/users/{}", user["id"].as_str().expect("an id"));
    let found = admin.get(&address).await;
    assert!(!found.text().contains(password));
    assert_eq!(found.ok(), *user);

    let browser = app.browser();
    browser.sign_in_as("bo.berg@acme.test", password).await.ok();
    let closed = browser.get("/api/v1/sessions").await;
    closed.problem(403, "password_change_required");
    let change =
        json!({ "current_password": password, "new_password": "nine loud geese before dawn" });
    browser.post("/api/v1/me/password", change).await.done();
    browser.get("/api/v1/sessions").await.ok();
    let again = anon.sign_in_as("bo.berg@acme.test", password).await;
    again.problem(401, "sign_in_failed");
    let found = admin.get(&address).await.ok();
    assert_eq!(found["password_change_required"], false);
    assert_eq!(found["last_sign_in_at"], app.now().to_string());
}

async fn an_e_mail_is_taken_on_the_whole_server_until_its_user_is_deleted() {
    let (app, _, root) = TestApp::start().with_admin().await;
    let Acme { nora, admin, .. } = acme(&app).await;
    let eve = app.stranger().await;
    // The one documented exception to "does not exist".
    for email in ["nora@acme.test", "EVE@globex.test "] {
        let taken = admin.post("/api/v1/users", json!({ "email": email })).await;
        taken.problem(409, "email_taken");
        let other = admin
            .post("/api/v1/users", json!({ "email": "other@acme.test" }))
            .await
            .json();
        if let Some(id) = other["user"]["id"].as_str() {
            let path = format!("/api/v1/users/{id}");
            let taken = admin
                .patch(&path, json!({ "name": "Kept", "email": email }))
                .await;
            taken.problem(409, "email_taken");
            assert_ne!(admin.get(&path).await.ok()["name"], "Kept");
            admin.delete(&path).await.done();
        }
    }
    let (old, _) = app.open_session(&nora, NewRow::default()).await;
    admin.delete(&at(&nora)).await.done();
    admin.get(&at(&nora)).await.problem(404, "not_found");
    let again = json!({ "email": nora.email, "name": "Another Nora" });
    assert_eq!(admin.post("/api/v1/users", again).await.status, 201);
    // The tombstone keeps what its sessions show.
    let kept = root.get(&format!("/api/v1/sessions/{old}")).await.ok();
    assert_eq!(kept["user"]["email"], nora.email);
    assert_eq!(kept["user"]["name"], nora.name);
    assert_eq!(kept["ended"]["reason"], "user_deleted");
    assert!(root.get(&at(&eve)).await.status == 200);
}

async fn what_cannot_be_a_user_is_refused_by_field() {
    let (app, _, root) = TestApp::start().with_admin().await;
    let Acme { nora, admin, .. } = acme(&app).await;
    let globex = app.organisation("Globex").await;
    let foreign = app.role(globex, "Foreign", Permissions::default()).await;
    let before = app.rows().await;
    for (body, field) in [
        (json!({}), "email"),
        (json!({ "email": "no address" }), "email"),
        (json!({ "email": "a@b", "name": "x".repeat(101) }), "name"),
        (json!({ "email": "a@b", "name": "a\u{7}b" }), "name"),
        (json!({ "email": "a@b", "role": "emperor" }), "role"),
        (json!({ "email": "a@b", "role": foreign }), "role"),
        (
            json!({ "email": "a@b", "roles": ["member", foreign] }),
            "roles",
        ),
        (
            json!({ "email": "a@b", "organisation": globex }),
            "organisation",
        ),
        (
            json!({ "email": "a@b", "organisation": crate::support::unknown_id() }),
            "organisation",
        ),
        (
            json!({ "email": "a@b", "organisation": "acme" }),
            "organisation",
        ),
        (json!({ "email": "a@b", "password": PASSWORD }), "password"),
        (json!({ "email": "a@b", "enabled": true }), "enabled"),
        (json!({ "email": "a@b", "id": nora.id }), "id"),
    ] {
        admin.post("/api/v1/users", body).await.field(field);
    }
    for (body, field) in [
        (json!({ "email": "" }), "email"),
        (json!({ "name": " " }), "name"),
        (json!({ "role": "emperor" }), "role"),
        (json!({ "roles": [foreign] }), "roles"),
        (json!({ "organisation": globex }), "organisation"),
        (json!({ "service_account": true }), "service_account"),
        (json!({ "password_hash": "x" }), "password_hash"),
        (
            json!({ "last_sign_in_at": "2026-01-01T00:00:00Z" }),
            "last_sign_in_at",
        ),
    ] {
        admin.patch(&at(&nora), body).await.field(field);
    }
    assert_eq!(app.rows().await, before);
    // Platform administrators have every organisation, but no disabled or unknown one to give.
    let id = crate::support::unknown_id();
    let nowhere = json!({ "organisation": id });
    root.patch(&at(&nora), nowhere).await.field("organisation");
    let address = format!("/api/v1/organisations/{globex}");
    root.patch(&address, json!({ "enabled": false })).await.ok();
    let disabled = json!({ "organisation": globex });
    root.patch(&at(&nora), disabled).await.field("organisation");
    let there = json!({ "email": "a@b", "organisation": globex });
    root.post("/api/v1/users", there)
        .await
        .field("organisation");
    for query in [
        "active=yes",
        "state=open",
        "sort=password_hash",
        "role=%00",
        "colour=red",
    ] {
        let answer = admin.get(&format!("/api/v1/users?{query}")).await;
        answer.field(query.split('=').next().expect("a name"));
    }
    for query in ["q=a", "kind=api", "sort=name"] {
        let answer = admin.get(&format!("{}/sessions?{query}", at(&nora))).await;
        answer.field(query.split('=').next().expect("a name"));
    }
}

async fn a_lock_goes_along_with_a_changed_e_mail() {
    let (app, anon, _) = TestApp::start().with_admin().await;
    let Acme { nora, admin, .. } = acme(&app).await;
    lock(&app, &nora.email).await;
    let renamed = json!({ "email": "nora.rossi@acme.test", "name": "Nora Rossi" });
    let user = admin.patch(&at(&nora), renamed).await.ok();
    assert_ne!(user["locked_at"], Value::Null);
    let refused = anon.sign_in_as("nora.rossi@acme.test", PASSWORD).await;
    refused.problem(401, "sign_in_failed");
    // And back again.
    let back = json!({ "email": nora.email });
    assert_ne!(
        admin.patch(&at(&nora), back).await.ok()["locked_at"],
        Value::Null
    );
    anon.sign_in(&nora).await.problem(401, "sign_in_failed");
    let path = format!("{}/unlock", at(&nora));
    admin.ask(http::Method::POST, &path).await.done();
    anon.sign_in(&nora).await.ok();
    // Sessions are found under the new name, and no longer under the old one.
    let renamed = json!({ "email": "rossi@acme.test" });
    admin.patch(&at(&nora), renamed).await.ok();
    let total = async |search: &str| {
        let path = format!("/api/v1/sessions?q={search}");
        admin.get(&path).await.ok()["total"].clone()
    };
    assert_eq!(total("rossi@acme.test").await, 1);
    assert_eq!(total("nora@acme.test").await, 0);
}

async fn a_move_ends_all_sessions_and_leaves_own_roles_behind() {
    let (app, anon, root) = TestApp::start().with_admin().await;
    let Acme { nora, admin, .. } = acme(&app).await;
    let globex = app.organisation("Globex").await;
    let eve = app
        .user(globex, BuiltInRole::Administrator, "eve@globex.test")
        .await;
    let there = app.browser_of(&eve).await;
    let auditor = app
        .role(
            nora.organisation,
            "Auditor",
            Permissions::of(&[Permission::AuditView]),
        )
        .await;
    app.give(&nora, &[&auditor.0]).await;
    let (old, token) = app.open_session(&nora, NewRow::default()).await;
    assert!(app.holding(&token).is_signed_in().await);
    // Administrators cannot move anybody: other organisations do not exist for them.
    let away = json!({ "organisation": globex });
    admin
        .patch(&at(&nora), away.clone())
        .await
        .field("organisation");
    // A role of the old organisation does not go along.
    root.patch(&at(&nora), away).await.field("roles");
    assert!(app.holding(&token).is_signed_in().await);
    let away = json!({ "organisation": globex, "roles": [] });
    let moved = root.patch(&at(&nora), away).await.ok();
    assert_eq!(moved["organisation"]["name"], "Globex");
    assert_eq!(moved["open_sessions"], 0);
    assert!(!app.holding(&token).is_signed_in().await);
    let ended = root.get(&format!("/api/v1/sessions/{old}")).await.ok();
    assert_eq!(ended["ended"]["reason"], "user_moved");
    // Who was there keeps what happened there; who is there now does not see it.
    admin.get(&at(&nora)).await.problem(404, "not_found");
    admin.get(&format!("/api/v1/sessions/{old}")).await.ok();
    there
        .get(&format!("/api/v1/sessions/{old}"))
        .await
        .problem(404, "not_found");
    let sessions = format!("{}/sessions", at(&nora));
    assert_eq!(there.get(&sessions).await.ok()["total"], 0);
    assert_eq!(root.get(&sessions).await.ok()["total"], 1);
    // Later than the move: what is as old as that ended with it.
    app.advance(seconds(1));
    anon.sign_in(&nora).await.ok();
    assert_eq!(there.get(&sessions).await.ok()["total"], 1);
    // What ended there is not taken off what lives here, swept or not.
    for swept in [false, true] {
        if swept {
            app.service().sweep().await.expect("the sweep works");
        }
        assert_eq!(there.get(&at(&nora)).await.ok()["open_sessions"], 1);
        for query in ["active=true", "active=true&q=nora"] {
            let list = there.get(&format!("/api/v1/users?{query}")).await.ok();
            let expected = if query.contains("q=") { 1 } else { 2 };
            assert_eq!(list["total"], expected, "{query}");
            assert_eq!(list["items"].as_array().map(Vec::len), Some(expected));
        }
        let all = root.get("/api/v1/users?active=true").await.ok();
        assert_eq!(all["total"], all["items"].as_array().map_or(0, Vec::len));
    }
}

async fn a_change_of_roles_takes_effect_on_the_next_request() {
    let (app, _, root) = TestApp::start().with_admin().await;
    let Acme { nora, admin, .. } = acme(&app).await;
    let browser = app.browser_of(&nora).await;
    browser
        .get("/api/v1/sessions")
        .await
        .problem(403, "forbidden");
    let more = json!({ "roles": ["session_manager", "session_manager", "member"] });
    let user = admin.patch(&at(&nora), more).await.ok();
    assert_eq!(
        user["roles"],
        json!([{ "key": "session_manager", "name": "Session manager" }])
    );
    browser.get("/api/v1/sessions").await.ok();
    let permissions = browser.get("/api/v1/me").await.ok()["permissions"].clone();
    assert!(
        permissions
            .as_array()
            .expect("a list")
            .contains(&json!("sessions.end"))
    );
    // A role of the organisation, made, given, widened, narrowed.
    let made = admin
        .post(
            "/api/v1/roles",
            json!({ "name": "Auditor", "permissions": ["audit.view"] }),
        )
        .await;
    assert_eq!(made.status, 201, "{}", made.text());
    let key = made.json()["key"].as_str().expect("a key").to_owned();
    let role = format!("/api/v1/roles/{key}");
    browser.get("/api/v1/audit").await.problem(403, "forbidden");
    admin
        .patch(&at(&nora), json!({ "roles": [key] }))
        .await
        .ok();
    browser.get("/api/v1/audit").await.ok();
    browser
        .get("/api/v1/sessions")
        .await
        .problem(403, "forbidden");
    let wider = json!({ "permissions": ["audit.view", "users.manage"] });
    let wider = admin.patch(&role, wider).await.ok();
    assert!(
        wider["permissions"]
            .as_array()
            .expect("a list")
            .contains(&json!("sessions.view"))
    );
    browser.get("/api/v1/sessions").await.ok();
    admin.patch(&role, json!({ "permissions": [] })).await.ok();
    browser.get("/api/v1/audit").await.problem(403, "forbidden");
    admin.delete(&role).await.problem(409, "role_in_use");
    assert_eq!(root.get(&role).await.ok()["users"], 1);
    admin.patch(&at(&nora), json!({ "roles": [] })).await.ok();
    admin.delete(&role).await.done();
    admin.get(&role).await.problem(404, "not_found");
    // No role change has rotated or ended anything.
    assert!(browser.is_signed_in().await);
}

async fn a_quality_manager_with_administrator_as_a_secondary_role_unlocks_nobody() {
    let (app, anon, _) = TestApp::start().with_admin().await;
    let Acme { ada, nora, admin } = acme(&app).await;
    let eve = app.stranger().await;
    let quinn = app
        .user(
            ada.organisation,
            BuiltInRole::QualityManager,
            "quinn@acme.test",
        )
        .await;
    app.give(&quinn, &["administrator"]).await;
    let quality = app.browser_of(&quinn).await;

    // Sessions: in the own organisation, and nowhere else.
    let (here, _) = app.open_session(&nora, NewRow::default()).await;
    let (there, _) = app.open_session(&eve, NewRow::default()).await;
    quality
        .delete(&format!("/api/v1/sessions/{here}"))
        .await
        .done();
    let foreign = quality.delete(&format!("/api/v1/sessions/{there}")).await;
    foreign.problem(404, "not_found");
    assert_eq!(app.stored(there).await.ended, None);
    quality.get(&at(&eve)).await.problem(404, "not_found");
    quality.delete(&at(&eve)).await.problem(404, "not_found");

    lock(&app, &nora.email).await;
    let user = quality.get(&at(&nora)).await.ok();
    assert_ne!(user["locked_at"], Value::Null);
    assert_eq!(user["may"]["unlock"], false);
    let path = format!("{}/unlock", at(&nora));
    let unlock = async || quality.ask(http::Method::POST, &path).await;
    unlock().await.problem(403, "forbidden");

    // Promoting oneself.
    for body in [
        json!({ "role": "administrator" }),
        json!({ "role": "administrator", "roles": [] }),
        json!({ "roles": ["administrator", "platform_administrator"] }),
        json!({ "roles": [] }),
    ] {
        quality
            .patch(&at(&quinn), body)
            .await
            .problem(403, "forbidden");
    }
    unlock().await.problem(403, "forbidden");
    // Creating an Administrator, or a role that unlocks.
    for role in ["administrator", "platform_administrator"] {
        let body = json!({ "email": "helper@acme.test", "role": role });
        quality
            .post("/api/v1/users", body)
            .await
            .problem(403, "forbidden");
        let body = json!({ "email": "helper@acme.test", "roles": [role] });
        quality
            .post("/api/v1/users", body)
            .await
            .problem(403, "forbidden");
        quality
            .patch(&at(&nora), json!({ "role": role }))
            .await
            .problem(403, "forbidden");
    }
    let body = json!({ "name": "Unlocker", "permissions": ["users.unlock"] });
    quality
        .post("/api/v1/roles", body)
        .await
        .problem(403, "forbidden");
    // Editing a role: built-in ones, and own ones beyond what one holds.
    let wide = json!({ "permissions": ["users.unlock"] });
    for role in ["quality_manager", "administrator", "member"] {
        let path = format!("/api/v1/roles/{role}");
        quality
            .patch(&path, wide.clone())
            .await
            .problem(403, "forbidden");
    }
    let body = json!({ "name": "Helper", "permissions": ["audit.view"] });
    let made = quality.post("/api/v1/roles", body).await.json();
    let helper = format!("/api/v1/roles/{}", made["key"].as_str().expect("a key"));
    quality.patch(&helper, wide).await.problem(403, "forbidden");
    // Resetting the password of the locked user gives a new password, and no way in.
    let reset = format!("{}/reset-password", at(&nora));
    let reset = quality.ask(http::Method::POST, &reset).await.ok();
    let password = reset["one_time_password"]
        .as_str()
        .expect("a password")
        .to_owned();
    let refused = anon.sign_in_as(&nora.email, &password).await;
    refused.problem(401, "sign_in_failed");
    // Another e-mail takes the lock along; disabling and enabling lift none either.
    for body in [
        json!({ "email": "n@acme.test" }),
        json!({ "email": nora.email }),
        json!({ "enabled": false }),
        json!({ "enabled": true }),
    ] {
        let user = quality.patch(&at(&nora), body).await.ok();
        assert_ne!(user["locked_at"], Value::Null);
    }
    let refused = anon.sign_in_as(&nora.email, &password).await;
    refused.problem(401, "sign_in_failed");

    // An Administrator unlocks; the user signs in.
    let user = admin.get(&at(&nora)).await.ok();
    assert_eq!(user["may"]["unlock"], true);
    admin.ask(http::Method::POST, &path).await.done();
    anon.sign_in_as(&nora.email, &password).await.ok();
}

async fn nobody_promotes_themselves_or_touches_who_has_more() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let Acme { ada, nora, admin } = acme(&app).await;
    let boss = app
        .user(
            ada.organisation,
            BuiltInRole::PlatformAdministrator,
            "boss@acme.test",
        )
        .await;
    let keeper = app
        .role(
            ada.organisation,
            "Keeper",
            Permissions::of(&[Permission::OrganisationsManage]),
        )
        .await;
    app.give(&nora, &[&keeper.0]).await;
    let locked = async |person: &Person| lock(&app, &person.email).await;
    locked(&boss).await;
    // A Platform administrator of the same organisation, and a member with something that Administrators lack.
    for above in [&boss, &nora] {
        for body in [
            json!({ "name": "Mine" }),
            json!({ "email": "mine@acme.test" }),
            json!({ "enabled": false }),
            json!({ "role": "member", "roles": [] }),
        ] {
            admin
                .patch(&at(above), body)
                .await
                .problem(403, "forbidden");
        }
        admin.delete(&at(above)).await.problem(403, "forbidden");
        for act in ["reset-password", "unlock"] {
            let path = format!("{}/{act}", at(above));
            let answer = admin.ask(http::Method::POST, &path).await;
            answer.problem(403, "forbidden");
        }
        let user = admin.get(&at(above)).await.ok();
        let may = json!({ "edit": false, "govern": false, "change_roles": false, "unlock": false, "end_sessions": true });
        assert_eq!(user["may"], may);
        // Ending the sessions is allowed.
        app.open_session(above, NewRow::default()).await;
        let sessions = format!("{}/sessions", at(above));
        admin.delete(&sessions).await.done();
        assert_eq!(admin.get(&at(above)).await.ok()["open_sessions"], 0);
    }
    // Nobody disables, deletes, resets or demotes themselves.
    for body in [
        json!({ "enabled": false }),
        json!({ "role": "member" }),
        json!({ "roles": ["member"] , "role": "session_manager" }),
    ] {
        admin.patch(&at(&ada), body).await.problem(403, "forbidden");
    }
    admin.delete(&at(&ada)).await.problem(403, "forbidden");
    let path = format!("{}/reset-password", at(&ada));
    admin
        .ask(http::Method::POST, &path)
        .await
        .problem(403, "forbidden");
    let same =
        json!({ "name": "Ada Lovelace", "role": "administrator", "roles": [], "enabled": true });
    assert_eq!(
        admin.patch(&at(&ada), same).await.ok()["name"],
        "Ada Lovelace"
    );
    // One's own role is not edited either, whoever made it.
    let own = app
        .role(
            ada.organisation,
            "Own",
            Permissions::of(&[Permission::AuditView]),
        )
        .await;
    let otto = app
        .user(
            ada.organisation,
            BuiltInRole::Administrator,
            "otto@acme.test",
        )
        .await;
    app.give(&otto, &[&own.0]).await;
    let path = format!("/api/v1/roles/{own}");
    let browser = app.browser_of(&otto).await;
    browser
        .patch(&path, json!({ "name": "Mine" }))
        .await
        .problem(403, "forbidden");
    browser.delete(&path).await.problem(403, "forbidden");
    admin.patch(&path, json!({ "name": "Theirs" })).await.ok();
}

async fn whoever_may_only_look_is_offered_nothing() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let Acme { nora, .. } = acme(&app).await;
    let looks = Permissions::of(&[Permission::UsersView]);
    let role = app.role(nora.organisation, "Onlooker", looks).await;
    let olga = app
        .user(nora.organisation, BuiltInRole::Member, "olga@acme.test")
        .await;
    app.give(&olga, &[&role.0]).await;
    let browser = app.browser_of(&olga).await;
    let user = browser.get(&at(&nora)).await.ok();
    let may = json!({ "edit": false, "govern": false, "change_roles": false, "unlock": false, "end_sessions": false });
    assert_eq!(user["may"], may);
    let roles = browser.get("/api/v1/roles").await.ok();
    let roles = roles["items"].as_array().expect("a list");
    assert!(roles.len() > 4);
    for role in roles {
        assert_eq!(
            (&role["may_give"], &role["may_edit"]),
            (&json!(false), &json!(false)),
            "{role}"
        );
    }
}

async fn the_last_platform_administrator_stays() {
    let (app, _, root) = TestApp::start().with_admin().await;
    let home = app.admin().await.organisation;
    let other = app
        .user(home, BuiltInRole::PlatformAdministrator, "other@acme.test")
        .await;
    let second = app.browser_of(&other).await;
    let first = at(&app.admin().await);
    // Two may: each could disable the other, but not both.
    second.patch(&first, json!({ "enabled": false })).await.ok();
    assert!(!root.is_signed_in().await);
    let acme = app.organisation("Acme").await;
    let deputy = app
        .user(acme, BuiltInRole::Member, "deputy@acme.test")
        .await;
    app.give(&deputy, &["platform_administrator"]).await;
    // Whoever has it as a secondary role cannot unlock and so does not count; nor may they touch who can.
    let third = app.browser_of(&deputy).await;
    third
        .patch(&at(&other), json!({ "enabled": false }))
        .await
        .problem(403, "forbidden");
    let address = format!("/api/v1/organisations/{home}");
    let last = second.patch(&address, json!({ "enabled": false })).await;
    last.problem(409, "last_administrator");
    let last = third.patch(&address, json!({ "enabled": false })).await;
    last.problem(409, "last_administrator");
    assert!(second.is_signed_in().await);
    // With another one elsewhere it may be.
    let elsewhere = app
        .user(
            acme,
            BuiltInRole::PlatformAdministrator,
            "elsewhere@acme.test",
        )
        .await;
    let fourth = app.browser_of(&elsewhere).await;
    for body in [json!({ "enabled": false }), json!({ "role": "member" })] {
        let parallel = [
            fourth.patch(&at(&other), body.clone()),
            second.patch(&at(&elsewhere), body.clone()),
        ];
        let answers = futures_util::future::join_all(parallel.map(IntoFuture::into_future)).await;
        let done = answers.iter().filter(|answer| answer.status == 200).count();
        assert_eq!(
            done,
            1,
            "{body}: {:?}",
            answers.iter().map(|one| one.status).collect::<Vec<_>>()
        );
        // Put back, behind the server's back.
        app.sql("UPDATE \"user\" SET enabled = true, role_key = 'platform_administrator', ended_before = NULL, settled = true WHERE email IN ('other@acme.test', 'elsewhere@acme.test')").await;
        app.restart().await;
        for (client, person) in [(&second, &other), (&fourth, &elsewhere)] {
            let (_, token) = app.open_session(person, NewRow::default()).await;
            client.hold(&token);
        }
    }
}

async fn every_act_is_one_event_and_refusals_are_events_too() {
    let (app, _, root) = TestApp::start().with_admin().await;
    let Acme { ada, nora, admin } = acme(&app).await;
    let boss = app
        .user(
            ada.organisation,
            BuiltInRole::PlatformAdministrator,
            "boss@acme.test",
        )
        .await;
    lock(&app, &nora.email).await;
    let newest = async |count: usize| {
        let page = admin
            .get(&format!("/api/v1/audit?page_size={count}"))
            .await
            .ok();
        let items = page["items"].as_array().expect("a list").clone();
        let words = |item: &Value| {
            let text = |name: &str| item[name].as_str().unwrap_or_default().to_owned();
            assert_eq!(item["actor"]["name"], json!(ada.name), "{item}");
            let target = item["target"]["email"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            (text("action"), text("outcome"), target, text("detail"))
        };
        items.iter().map(words).collect::<Vec<_>>()
    };
    let expect = async |action: &str, outcome: &str, target: &str, detail: &str| {
        let found = newest(1).await.remove(0);
        let expected = (
            action.to_owned(),
            outcome.to_owned(),
            target.to_owned(),
            detail.to_owned(),
        );
        assert_eq!(found, expected);
    };
    let mail = nora.email.as_str();
    let body = json!({ "email": "bo@acme.test", "roles": ["quality_manager"] });
    let bo = admin.post("/api/v1/users", body).await.json();
    expect(
        "user.created",
        "success",
        "bo@acme.test",
        "role Member, also Quality Manager",
    )
    .await;
    let bo = format!(
        "/api/v1/users/{}",
        bo["user"]["id"].as_str().expect("an id")
    );
    admin
        .patch(
            &at(&nora),
            json!({ "name": "Nora", "email": "n@acme.test" }),
        )
        .await
        .ok();
    expect(
        "user.edited",
        "success",
        "n@acme.test",
        "name was nora; e-mail was nora@acme.test",
    )
    .await;
    admin.patch(&at(&nora), json!({ "email": mail })).await.ok();
    admin
        .patch(&at(&nora), json!({ "role": "session_manager" }))
        .await
        .ok();
    expect(
        "user.roles_changed",
        "success",
        mail,
        "role Session manager; was role Member",
    )
    .await;
    admin
        .patch(&at(&nora), json!({ "enabled": false }))
        .await
        .ok();
    expect("user.disabled", "success", mail, "").await;
    let before = app.rows().await.events;
    admin
        .patch(&at(&nora), json!({ "enabled": false }))
        .await
        .ok();
    assert_eq!(
        app.rows().await.events,
        before,
        "nothing was done, so nothing happened"
    );
    admin
        .patch(&at(&nora), json!({ "enabled": true }))
        .await
        .ok();
    expect("user.enabled", "success", mail, "").await;
    let post = async |path: &str| admin.ask(http::Method::POST, path).await;
    post(&format!("{}/reset-password", at(&nora))).await.ok();
    expect("password.reset", "success", mail, "").await;
    post(&format!("{}/unlock", at(&nora))).await.done();
    expect("user.unlocked", "success", mail, "").await;
    admin.delete(&bo).await.done();
    expect("user.deleted", "success", "bo@acme.test", "").await;
    let role = admin
        .post(
            "/api/v1/roles",
            json!({ "name": "Auditor", "permissions": ["audit.view"] }),
        )
        .await
        .json();
    expect("role.created", "success", "", "Auditor (audit.view)").await;
    let role = format!("/api/v1/roles/{}", role["key"].as_str().expect("a key"));
    admin.patch(&role, json!({ "name": "Reader" })).await.ok();
    expect(
        "role.edited",
        "success",
        "",
        "Reader (audit.view); was Auditor (audit.view)",
    )
    .await;
    admin.delete(&role).await.done();
    expect("role.deleted", "success", "", "Reader (audit.view)").await;
    // Refusals: nothing else has happened, and who was meant is not said of what does not exist.
    admin
        .patch(&at(&boss), json!({ "enabled": false }))
        .await
        .problem(403, "forbidden");
    expect("user.disabled", "not_permitted", "", "").await;
    let nobody = format!("/api/v1/users/{}", crate::support::unknown_id());
    admin.delete(&nobody).await.problem(404, "not_found");
    expect("user.deleted", "not_found", "", "").await;
    admin
        .post("/api/v1/organisations", json!({ "name": "Mine" }))
        .await
        .problem(403, "forbidden");
    expect("organisation.created", "not_permitted", "", "").await;
    // A move is an event in both organisations, and neither is told of the other.
    let globex = app.organisation("Globex").await;
    root.patch(&at(&nora), json!({ "organisation": globex }))
        .await
        .ok();
    let moved = root.get("/api/v1/audit?action=user.moved").await.ok();
    let organisations: Vec<_> = moved["items"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|item| item["organisation"]["name"].clone())
        .collect();
    assert_eq!(organisations, [json!("Globex"), json!("Acme")]);
    assert!(
        !admin
            .get("/api/v1/audit?action=user.moved")
            .await
            .text()
            .contains("Globex")
    );
    root.post("/api/v1/organisations", json!({ "name": "Initech" }))
        .await;
    let events = root.get("/api/v1/audit?page_size=1").await.ok();
    assert_eq!(events["items"][0]["action"], "organisation.created");
    assert_eq!(events["items"][0]["organisation"]["name"], "Initech");
}

async fn lists_search_filter_sort_and_page() {
    let (app, _, root) = TestApp::start().with_admin().await;
    let Acme { ada, nora, admin } = acme(&app).await;
    let globex = app.organisation("Globex").await;
    app.user(globex, BuiltInRole::Member, "eve@globex.test")
        .await;
    let auditor = app
        .role(ada.organisation, "Auditor", Permissions::default())
        .await;
    let otto = app
        .user(
            ada.organisation,
            BuiltInRole::SessionManager,
            "Otto@acme.test",
        )
        .await;
    app.give(&otto, &[&auditor.0]).await;
    app.advance(minutes(1));
    let zoe = app
        .user(ada.organisation, BuiltInRole::Member, "zoe@acme.test")
        .await;
    admin
        .patch(&at(&zoe), json!({ "name": "Émile Zoé", "enabled": false }))
        .await
        .ok();
    lock(&app, &nora.email).await;
    app.advance(minutes(1));
    let robot = json!({ "email": "robot@acme.test", "service_account": true });
    admin.post("/api/v1/users", robot).await;
    let names = async |client: &Client, query: &str| {
        let page = client
            .get(&format!("/api/v1/users?page_size=100&{query}"))
            .await
            .ok();
        let items = page["items"].as_array().expect("a list").clone();
        assert_eq!(page["total"], items.len(), "{query}");
        let name = |item: &Value| item["name"].as_str().expect("a name").to_owned();
        items.iter().map(name).collect::<Vec<_>>().join(" ")
    };
    for (query, expected) in [
        ("", "ada nora Otto robot Émile Zoé"),
        ("sort=-name", "Émile Zoé robot Otto nora ada"),
        ("sort=email", "Otto ada nora robot Émile Zoé"),
        ("sort=-created_at&role=member", "robot Émile Zoé nora"),
        ("sort=role&service_account=false&state=enabled", "ada Otto"),
        ("q=ÉMILE", "Émile Zoé"),
        ("q=OTTO@", "Otto"),
        ("q=@ACME", "ada nora Otto robot Émile Zoé"),
        ("q=zzz", ""),
        ("q=%25", ""),
        ("role=session_manager", "Otto"),
        (&format!("role={auditor}"), "Otto"),
        (
            &format!("organisation={}", ada.organisation),
            "ada nora Otto robot Émile Zoé",
        ),
        (&format!("organisation={globex}"), ""),
        ("state=disabled", "Émile Zoé"),
        ("state=locked", "nora"),
        ("state=enabled", "ada Otto robot"),
        ("service_account=true", "robot"),
        ("active=true", "ada"),
        ("active=false&sort=-email", "Émile Zoé robot nora Otto"),
        ("sort=-open_sessions&q=a", "ada robot nora Otto Émile Zoé"),
        ("sort=-last_sign_in_at&q=ada", "ada"),
        (
            "sort=-state&service_account=false",
            "Émile Zoé Otto nora ada",
        ),
        ("sort=organisation&role=session_manager", "Otto"),
        (
            "sort=-locked_at&role=member&service_account=false",
            "nora Émile Zoé",
        ),
    ] {
        // Equal rows follow in the order of their ids, which no name tells.
        let (mut found, mut expected) = (names(&admin, query).await, expected.to_owned());
        if query.contains("open_sessions") || query.contains("-state") {
            let first = if query.contains("state") {
                "Émile Zoé"
            } else {
                "ada"
            };
            assert!(found.starts_with(first), "{query}: {found}");
            let sorted = |text: &str| {
                let mut words: Vec<_> = text.split(' ').map(str::to_owned).collect();
                words.sort();
                words.join(" ")
            };
            (found, expected) = (sorted(&found), sorted(&expected));
        }
        assert_eq!(found, expected, "{query}");
    }
    assert_eq!(names(&root, "organisation=&q=eve").await, "eve");
    assert_eq!(names(&root, &format!("organisation={globex}")).await, "eve");
    let second = admin.get("/api/v1/users?page=2&page_size=2").await.ok();
    assert_eq!((&second["total"], &second["page"]), (&json!(5), &json!(2)));
    let names: Vec<_> = second["items"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|item| item["name"].clone())
        .collect();
    assert_eq!(names, [json!("Otto"), json!("robot")]);
    let beyond = admin.get("/api/v1/users?page=9").await.ok();
    assert_eq!(
        (&beyond["total"], &beyond["items"]),
        (&json!(5), &json!([]))
    );
}

async fn open_sessions_are_counted_as_they_live() {
    let (app, _, root) = TestApp::start().with_admin().await;
    let Acme { nora, admin, .. } = acme(&app).await;
    let open = async || {
        let user = admin.get(&at(&nora)).await.ok()["open_sessions"].clone();
        let list = admin.get("/api/v1/users?active=true&q=nora").await.ok();
        assert_eq!(list["total"], u64::from(user != json!(0)));
        if user != json!(0) {
            assert_eq!(list["items"][0]["open_sessions"], user);
        }
        let active = format!("{}/sessions?state=active", at(&nora));
        assert_eq!(admin.get(&active).await.ok()["total"], user);
        user
    };
    assert_eq!(open().await, 0);
    let (one, _) = app.open_session(&nora, NewRow::default()).await;
    app.advance(seconds(1));
    let (_, used) = app.open_session(&nora, NewRow::default()).await;
    app.advance(seconds(1));
    let keeps = NewRow {
        keep: true,
        ..NewRow::default()
    };
    app.open_session(&nora, keeps).await;
    assert_eq!(open().await, 3);
    admin
        .delete(&format!("/api/v1/sessions/{one}"))
        .await
        .done();
    assert_eq!(open().await, 2);
    // Two expire unless they are used, one of them is; nobody sweeps.
    app.advance(minutes(29));
    assert!(app.holding(&used).is_signed_in().await);
    assert!(admin.is_signed_in().await);
    app.advance(minutes(20));
    assert_eq!(open().await, 2);
    app.advance(minutes(9));
    assert!(admin.is_signed_in().await);
    app.advance(minutes(20));
    assert_eq!(open().await, 1);
    app.service().sweep().await.expect("the sweep works");
    assert_eq!(open().await, 1);
    // An epoch counts at once, before and after the sweep.
    admin
        .patch(&at(&nora), json!({ "enabled": false }))
        .await
        .ok();
    assert_eq!(open().await, 0);
    app.service().sweep().await.expect("the sweep works");
    assert_eq!(open().await, 0);
    assert!(!root.is_signed_in().await, "idle for too long");
}

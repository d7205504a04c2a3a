//! The pages about users, roles and organisations: rendered whole, without scripts, with the status that the
//! API would give.

use rollcall_core::BuiltInRole;

use crate::support::{Client, NewRow, TestApp};

both_databases!(
    every_page_has_the_status_that_its_reader_deserves,
    pages_need_no_scripts_and_show_what_may_be_done,
);

async fn every_page_has_the_status_that_its_reader_deserves() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let acme = app.organisation("Acme").await;
    let globex = app.organisation("Globex").await;
    let nora = app.user(acme, BuiltInRole::Member, "nora@acme.test").await;
    let eve = app
        .user(globex, BuiltInRole::Member, "eve@globex.test")
        .await;
    let role = app
        .role(globex, "Foreign", rollcall_core::Permissions::default())
        .await;
    let user = |id: rollcall_core::UserId, more: &str| format!("/users/{id}{more}");
    let mut pages = vec![
        ("/users".to_owned(), [200, 200, 200, 403, 303]),
        ("/users?active=true".to_owned(), [200, 200, 200, 403, 303]),
        (
            "/users?colour=red&page=0".to_owned(),
            [200, 200, 200, 403, 303],
        ),
        ("/sessions/filters".to_owned(), [200, 200, 200, 403, 303]),
        (
            "/sessions/filters?ip=x&page=0".to_owned(),
            [200, 200, 200, 403, 303],
        ),
        ("/sessions/columns".to_owned(), [200, 200, 200, 403, 303]),
        ("/users/locked".to_owned(), [200, 200, 200, 403, 303]),
        ("/users/new".to_owned(), [200, 200, 403, 403, 303]),
        (user(nora.id, ""), [200, 200, 200, 403, 303]),
        (user(eve.id, ""), [200, 404, 404, 403, 303]),
        (user(eve.id, "/reset"), [200, 404, 404, 403, 303]),
        (user(nora.id, "/explode"), [404, 404, 404, 403, 303]),
        ("/users/nobody".to_owned(), [404, 404, 404, 403, 303]),
        ("/roles".to_owned(), [200, 200, 403, 403, 303]),
        ("/roles/new".to_owned(), [200, 200, 403, 403, 303]),
        ("/roles/member".to_owned(), [200, 200, 403, 403, 303]),
        (format!("/roles/{role}"), [200, 404, 403, 403, 303]),
        ("/roles/%20".to_owned(), [404, 404, 403, 403, 303]),
        ("/organisations".to_owned(), [200, 403, 403, 403, 303]),
        (format!("/organisations/{acme}"), [200, 403, 403, 403, 303]),
        (
            format!("/organisations/{acme}/disable"),
            [200, 403, 403, 403, 303],
        ),
        (
            format!("/organisations/{acme}/delete"),
            [404, 403, 403, 403, 303],
        ),
        ("/organisations/acme".to_owned(), [404, 403, 403, 403, 303]),
    ];
    for act in ["end", "disable", "delete", "reset"] {
        pages.push((user(nora.id, &format!("/{act}")), [200, 200, 200, 403, 303]));
    }
    let roles = [
        Some(BuiltInRole::PlatformAdministrator),
        Some(BuiltInRole::Administrator),
        Some(BuiltInRole::SessionManager),
        Some(BuiltInRole::Member),
        None,
    ];
    for (index, role) in roles.into_iter().enumerate() {
        let client = match role {
            Some(role) => {
                let person = app
                    .user(acme, role, &format!("{}@acme.test", role.key()))
                    .await;
                app.browser_of(&person).await
            }
            None => app.browser(),
        };
        for (page, expected) in &pages {
            let answer = client.get(page).header("accept", "text/html").await;
            assert_eq!(answer.status, expected[index], "{role:?} {page}");
            let foreign = answer.text().contains("eve@globex.test");
            assert!(!foreign || index == 0, "{role:?} {page}");
        }
    }
}

async fn pages_need_no_scripts_and_show_what_may_be_done() {
    let (app, _, root) = TestApp::start().with_admin().await;
    let acme = app.organisation("Acme").await;
    let nora = app.user(acme, BuiltInRole::Member, "nora@acme.test").await;
    let evil = "<script>alert(1)</script>";
    app.open_session(
        &nora,
        NewRow {
            name: evil.to_owned(),
            ..NewRow::default()
        },
    )
    .await;
    let manager = app
        .user(acme, BuiltInRole::SessionManager, "manager@acme.test")
        .await;
    let manager = app.browser_of(&manager).await;
    let path = format!("/users/{}", nora.id);
    let page = async |client: &Client| {
        let answer = client.get(&path).header("accept", "text/html").await;
        answer.text()
    };
    let (all, some) = (page(&root).await, page(&manager).await);
    for text in [&all, &some] {
        // What is left is Leptos's own and empty: no bundle, no data.
        for script in ["type=\"module\"", "modulepreload", "wasm", evil] {
            assert!(!text.contains(script), "{script}: {text}");
        }
        assert!(text.contains("__RESOLVED_RESOURCES=[]"), "{text}");
        assert!(text.contains("&lt;script&gt;alert(1)"), "{text}");
        assert!(text.contains(&format!("{path}/end")));
    }
    for deed in ["reset", "disable", "delete"] {
        let link = format!("{path}/{deed}");
        assert!(all.contains(&link) && !some.contains(&link), "{deed}");
    }
    assert!(all.contains("action=\"/rpc/edit_user\"") && !some.contains("/rpc/edit_user"));
}

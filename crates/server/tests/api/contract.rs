//! The API is what its description says.

use serde_json::{Value, json};

use crate::support::{NewRow, PASSWORD, TestApp};

both_databases!(
    every_answer_is_one_that_the_document_lists,
    answers_have_the_fields_that_the_document_requires
);

fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(reference) => {
            let pointer = reference.trim_start_matches('#');
            resolve(
                document,
                document
                    .pointer(pointer)
                    .unwrap_or_else(|| panic!("{reference}")),
            )
        }
        None => schema,
    }
}

// What a value breaks of a schema; only the parts that our document uses.
fn violations(document: &Value, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    let schema = resolve(document, schema);
    for list in ["oneOf", "anyOf"] {
        if let Some(choices) = schema[list].as_array() {
            let fits = choices.iter().any(|choice| {
                let mut broken = Vec::new();
                violations(document, choice, value, at, &mut broken);
                broken.is_empty()
            });
            if !fits {
                found.push(format!("{at}: none of {list}: {value}"));
            }
        }
    }
    if let Some(parts) = schema["allOf"].as_array() {
        for part in parts {
            violations(document, part, value, at, found);
        }
    }
    let is = |kind: &str| match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{other}"),
    };
    match &schema["type"] {
        Value::String(kind) if !is(kind) => found.push(format!("{at}: no {kind}: {value}")),
        Value::Array(kinds) if !kinds.iter().any(|kind| is(kind.as_str().expect("a word"))) => {
            found.push(format!("{at}: none of {kinds:?}: {value}"))
        }
        _ => {}
    }
    if let Some(words) = schema["enum"].as_array()
        && !words.contains(value)
    {
        found.push(format!("{at}: not offered: {value}"));
    }
    if let Some(required) = schema["required"].as_array().filter(|_| value.is_object()) {
        for name in required {
            if value.get(name.as_str().expect("a name")).is_none() {
                found.push(format!("{at}: {name} is missing"));
            }
        }
    }
    if let (Some(properties), Some(fields)) = (schema["properties"].as_object(), value.as_object())
    {
        for (name, field) in fields {
            if let Some(schema) = properties.get(name) {
                violations(document, schema, field, &format!("{at}.{name}"), found);
            }
        }
    }
    if let (Some(items), Some(list)) = (schema.get("items"), value.as_array()) {
        for (index, item) in list.iter().enumerate() {
            violations(document, items, item, &format!("{at}[{index}]"), found);
        }
    }
}

async fn every_answer_is_one_that_the_document_lists() {
    let (app, anon, admin) = TestApp::start().with_admin().await;
    let document = anon.get("/api/openapi.json").await.ok();
    let nora = app.member().await;
    let member = app.browser_of(&nora).await;
    let unknown = crate::support::unknown_id();
    let mut seen = std::collections::BTreeSet::new();
    let paths = document["paths"].as_object().expect("paths").iter();
    for (path, item) in paths.filter(|(path, _)| path.starts_with("/api/")) {
        for (method, operation) in item.as_object().expect("operations") {
            let id = unknown.to_string();
            let address = path
                .replace("{id}", &id)
                .replace("{requestId}", &id)
                .replace("{key}", &id);
            let verb: http::Method = method.to_uppercase().parse().expect("a method");
            let answers = [
                anon.ask(verb.clone(), &address).await,
                member.ask(verb.clone(), &address).await,
                admin
                    .ask(verb.clone(), &format!("{address}?surprise=1"))
                    .await,
                admin
                    .ask(verb.clone(), &address)
                    .body("text/plain", "x")
                    .await,
                admin
                    .ask(verb.clone(), &address)
                    .body("application/json", "{")
                    .await,
                admin
                    .ask(verb.clone(), &address)
                    .body("application/json", vec![b' '; 70_000])
                    .await,
                anon.ask(verb.clone(), &address)
                    .header("sec-fetch-site", "cross-site")
                    .await,
            ];
            for answer in answers {
                let status = answer.status.to_string();
                let listed = &operation["responses"][&status];
                assert!(
                    !listed.is_null(),
                    "{method} {path} answered {status}, which is not listed: {}",
                    answer.text()
                );
                let kind = answer
                    .header("content-type")
                    .unwrap_or_default()
                    .split(';')
                    .next()
                    .unwrap_or_default()
                    .to_owned();
                match listed["content"].as_object() {
                    Some(content) => {
                        let schema = content
                            .get(&kind)
                            .unwrap_or_else(|| panic!("{method} {path} {status}: {kind}"));
                        let mut broken = Vec::new();
                        violations(
                            &document,
                            &schema["schema"],
                            &answer.json(),
                            "body",
                            &mut broken,
                        );
                        assert_eq!(broken, Vec::<String>::new(), "{method} {path} {status}");
                        seen.insert(status);
                    }
                    None => assert_eq!(
                        (answer.status, answer.text().as_str()),
                        (204, ""),
                        "{method} {path}"
                    ),
                }
            }
        }
    }
    for status in ["200", "400", "401", "403", "404", "413", "415"] {
        assert!(seen.contains(status), "{status} was never seen");
    }
}

async fn answers_have_the_fields_that_the_document_requires() {
    let (app, anon, admin) = TestApp::start().with_admin().await;
    let document = anon.get("/api/openapi.json").await.ok();
    let nora = app.member().await;
    let (id, _) = app.open_session(&nora, NewRow::default()).await;
    admin
        .delete(&format!("/api/v1/sessions/{id}"))
        .json(&json!({ "reason": "lost" }))
        .await
        .done();
    anon.sign_in_as("nobody@acme.test", "a wrong password")
        .await
        .problem(401, "sign_in_failed");
    let sign_in = anon
        .post(
            "/api/v1/sign-in",
            json!({ "email": nora.email, "password": PASSWORD, "token": true }),
        )
        .await
        .ok();
    let mut answers = vec![(
        "post",
        "/api/v1/sign-in".to_owned(),
        "/api/v1/sign-in",
        sign_in,
    )];
    for (path, template) in [
        ("/api/v1/me".to_owned(), "/api/v1/me"),
        (
            "/api/v1/me/sessions?state=".to_owned(),
            "/api/v1/me/sessions",
        ),
        (
            "/api/v1/sessions?page_size=100".to_owned(),
            "/api/v1/sessions",
        ),
        (
            "/api/v1/sessions/stats".to_owned(),
            "/api/v1/sessions/stats",
        ),
        (format!("/api/v1/sessions/{id}"), "/api/v1/sessions/{id}"),
        ("/api/v1/audit?page_size=100".to_owned(), "/api/v1/audit"),
        ("/api/v1/users?page_size=100".to_owned(), "/api/v1/users"),
        (format!("/api/v1/users/{}", nora.id), "/api/v1/users/{id}"),
        (
            format!("/api/v1/users/{}/sessions", nora.id),
            "/api/v1/users/{id}/sessions",
        ),
        ("/api/v1/roles".to_owned(), "/api/v1/roles"),
        ("/api/v1/roles/member".to_owned(), "/api/v1/roles/{key}"),
        ("/api/v1/organisations".to_owned(), "/api/v1/organisations"),
        (
            format!("/api/v1/organisations/{}", nora.organisation),
            "/api/v1/organisations/{id}",
        ),
        ("/api/UserRequests".to_owned(), "/api/UserRequests"),
    ] {
        let body = admin.get(&path).await.ok();
        answers.push(("get", path, template, body));
    }
    for (method, path, template, body) in answers {
        let content = &document["paths"][template][method]["responses"]["200"]["content"]["application/json"]
            ["schema"];
        assert!(content.is_object(), "{template}");
        let mut broken = Vec::new();
        violations(&document, content, &body, "body", &mut broken);
        assert_eq!(broken, Vec::<String>::new(), "{path}");
        undocumented(&document, content, &body, "body");
    }
}

// No answer has a field that the document does not know.
fn undocumented(document: &Value, schema: &Value, value: &Value, at: &str) {
    let known = properties(document, schema);
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                let schema = known.iter().find(|(known, _)| known == name);
                let (_, schema) =
                    schema.unwrap_or_else(|| panic!("{at}.{name} is not in the document"));
                undocumented(document, schema, field, &format!("{at}.{name}"));
            }
        }
        Value::Array(items) => {
            let schema = items_of(document, schema);
            for item in items.iter().take(3) {
                undocumented(document, &schema, item, &format!("{at}[]"));
            }
        }
        _ => {}
    }
}

fn parts(document: &Value, schema: &Value) -> Vec<Value> {
    let schema = resolve(document, schema);
    let mut all = vec![schema.clone()];
    for list in ["allOf", "oneOf", "anyOf"] {
        for part in schema[list].as_array().into_iter().flatten() {
            all.extend(parts(document, part));
        }
    }
    all
}

fn properties(document: &Value, schema: &Value) -> Vec<(String, Value)> {
    let all = parts(document, schema);
    let objects = all.iter().filter_map(|part| part["properties"].as_object());
    objects
        .flat_map(|properties| {
            properties
                .iter()
                .map(|(name, schema)| (name.clone(), schema.clone()))
        })
        .collect()
}

fn items_of(document: &Value, schema: &Value) -> Value {
    let all = parts(document, schema);
    all.iter()
        .find_map(|part| part.get("items").cloned())
        .unwrap_or(Value::Null)
}

//! The API keeps to its document: schemathesis makes requests of every call from the document alone, sound and
//! unsound ones, and compares the answers with it.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

use crate::client::Client;
use crate::people;
use crate::place::Place;
use crate::server::{How, Server};
use crate::{Context, ledger};

/// What is compared. Not whether each request that the document allows is taken: it says nothing of rules such as "one
/// of both", and an empty parameter stands for "any".
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
                      response_schema_conformance,missing_required_header,unsupported_method,allow_header_conformance,ignored_auth";

/// Calls that may end the session that asks, with ids that other answers have told. They are asked last, until one does.
const MAY_END_ITSELF: [&str; 12] = [
    "delete_api_UserRequest_requestId",
    "delete_api_v1_me_sessions",
    "delete_api_v1_me_sessions_id",
    "delete_api_v1_sessions_id",
    "delete_api_v1_users_id",
    "delete_api_v1_users_id_sessions",
    "patch_api_v1_organisations_id",
    "patch_api_v1_users_id",
    "post_api_v1_me_password",
    "post_api_v1_sessions_end_all",
    "post_api_v1_sign_out",
    "post_api_v1_users_id_reset_password",
];

/// Every call, as a Platform administrator.
pub(crate) async fn kept_to(context: &Context) -> Result<Vec<String>> {
    let Some(schemathesis) = &context.schemathesis else {
        ensure!(
            context.only.is_empty(),
            "--schemathesis has to say where it is"
        );
        return Ok(Vec::new());
    };
    let examples = context.count(10, 100).to_string();
    let mut lines = Vec::new();
    for place in Place::both(context, "document").await? {
        let mut people = people::store(&place, 12).await?;
        let administrator = people.pop().context("the administrator")?;
        let used = Duration::from_secs(1);
        let mut owners: Vec<_> = people.iter().collect();
        owners.push(&administrator);
        let sessions = people::sessions(&place, &owners, 0, used).await?;
        let token = &sessions.last().context("a session")?.tokens[0];
        // Nobody tells schemathesis that a token has a successor.
        let settings = ["--failure-limit", "1000000", "--rotate-every", "1h"];
        let mut how = How::with(&settings);
        how.log_level = Some("info");
        let server = Server::start(context, &place, &how).await?;
        let config = place.folder.join("schemathesis.toml");
        let bearer = "[auth.openapi.bearer_token]\nbearer = \"${ROLLCALL_TOKEN}\"\n";
        fs::write(&config, bearer)?;
        let ask = async |which: &str| -> Result<u64> {
            let mut command = Command::new(schemathesis);
            command
                .arg("--config-file")
                .arg(&config)
                .args(["run", "--no-color", "--continue-on-failure"])
                .args(["--checks", CHECKS, "--phases", "examples,coverage,fuzzing"])
                .args(["--max-examples", &examples])
                .arg(format!("http://{}/api/openapi.json", server.address))
                .current_dir(&place.folder)
                .env("ROLLCALL_TOKEN", token);
            for operation in MAY_END_ITSELF {
                command.args([which, operation]);
            }
            let output = command.output().await?;
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            ensure!(output.status.success(), "schemathesis found:\n{said}");
            generated(&said).context("schemathesis does not say how many requests it made")
        };
        let mut cases = ask("--exclude-operation-id").await?;
        let told = Client::open(server.address).await?.me(token).await?;
        ensure!(
            told.status.is_success(),
            "the session that asked is gone: {}",
            told.status
        );
        cases += ask("--include-operation-id").await?;
        let look = place.look().await?;
        let events = ledger::number(&look, "SELECT count(*) FROM audit_event", []).await?;
        look.close().await?;
        server.stop().await?;
        let faults = place.log()?.matches("http.status=5").count();
        ensure!(faults == 0, "{faults} answers were 5xx");
        let kind = place.kind;
        place.leave(&people::ids(&sessions)).await?;
        lines.push(format!(
            "{kind}: {cases} requests made from the OpenAPI document, {events} events; every answer as it says, 0 x 5xx"
        ));
    }
    Ok(lines)
}

/// The number before "generated" in the summary.
fn generated(said: &str) -> Option<u64> {
    let before = said.rsplit_once(" generated")?.0;
    let digits = before.rsplit(' ').next()?.replace(',', "");
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_cases_is_read() {
        let said = "Test cases:\n  1217 generated, 35 found 35 unique failures, 3 skipped\n";
        assert_eq!(generated(said), Some(1_217));
        assert_eq!(generated("nothing"), None);
    }
}

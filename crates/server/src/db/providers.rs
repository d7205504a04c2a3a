//! Identity providers that somebody has set up.

use rollcall_core::{ProviderKey, SaveProvider};
use sea_orm::ConnectionTrait;

use super::error::DbError;
use super::sql::{Row, Sql};

const COLUMNS: &str = "key, label, issuer, client_id, secret, scopes, rules, trusts_emails, max_age_seconds, acr_values, signs_out, enabled";

/// All of them, by key.
pub async fn list(
    connection: &impl ConnectionTrait,
) -> Result<Vec<(ProviderKey, SaveProvider)>, DbError> {
    let sql = Sql::new(
        connection,
        &format!("SELECT {COLUMNS} FROM identity_provider ORDER BY key"),
    );
    let rows = sql.all(connection).await?;
    rows.iter().map(|row| read(Row(row))).collect()
}

fn read(row: Row<'_>) -> Result<(ProviderKey, SaveProvider), DbError> {
    let words = |text: String| text.split_whitespace().map(str::to_owned).collect();
    let key: String = row.get("key")?;
    let max_age: Option<i64> = row.get("max_age_seconds")?;
    let rules: String = row.get("rules")?;
    Ok((
        key.parse().map_err(|_| super::sql::unknown("key"))?,
        SaveProvider {
            label: row.get("label")?,
            issuer: row.get("issuer")?,
            client_id: row.get("client_id")?,
            secret: row.get("secret")?,
            scopes: words(row.get("scopes")?),
            rules: rules.lines().map(str::to_owned).collect(),
            trusts_emails: row.get("trusts_emails")?,
            max_age_seconds: max_age.and_then(|seconds| u32::try_from(seconds).ok()),
            acr_values: words(row.get("acr_values")?),
            signs_out: row.get("signs_out")?,
            enabled: row.get("enabled")?,
        },
    ))
}

/// Stores one, in place of the one with this key.
pub async fn save(
    connection: &impl ConnectionTrait,
    key: &ProviderKey,
    setup: &SaveProvider,
) -> Result<(), DbError> {
    remove(connection, key).await?;
    let mut sql = Sql::new(
        connection,
        &format!("INSERT INTO identity_provider ({COLUMNS}) VALUES ("),
    );
    sql.bind(key.as_str())
        .push(", ")
        .bind(setup.label.clone())
        .push(", ")
        .bind(setup.issuer.clone())
        .push(", ")
        .bind(setup.client_id.clone())
        .push(", ")
        .bind(setup.secret.clone())
        .push(", ")
        .bind(setup.scopes.join(" "))
        .push(", ")
        .bind(setup.rules.join("\n"))
        .push(", ")
        .bind(setup.trusts_emails)
        .push(", ")
        .bind(setup.max_age_seconds.map(i64::from))
        .push(", ")
        .bind(setup.acr_values.join(" "))
        .push(", ")
        .bind(setup.signs_out)
        .push(", ")
        .bind(setup.enabled)
        .push(")");
    sql.run(connection).await?;
    Ok(())
}

/// Removes one. False if there is none.
pub async fn remove(connection: &impl ConnectionTrait, key: &ProviderKey) -> Result<bool, DbError> {
    let mut sql = Sql::new(connection, "DELETE FROM identity_provider WHERE key = ");
    sql.bind(key.as_str());
    Ok(sql.run(connection).await? == 1)
}

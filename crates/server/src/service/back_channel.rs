//! An identity provider tells that somebody has signed out there (Back-Channel Logout 1.0): exactly those sessions end.

use rollcall_core::{AuditAction, AuditOutcome, EndReason, Error, ProviderKey, Timestamp};
use sha2::{Digest, Sha256};

use super::Service;
use super::audit::{Describe, event};
use super::facts::RequestFacts;
use super::openid::Fault;
use super::stopping::with_stopped;
use crate::db;
use crate::db::identities::EndedThere;
use crate::db::sessions::EndedRow;
use crate::db::stopping::Stopped;

/// What becomes of a logout token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Heard {
    /// So many sessions have ended; none where there were none, or it had been heard before.
    Ended(u64),
    /// It cannot be believed.
    Refused,
}

impl Service {
    /// Ends the sessions that a logout token of this provider is about.
    ///
    /// # Errors
    /// `Unavailable` where the database refuses or the provider's keys cannot be asked for: it is to try again.
    pub async fn hear_sign_out(
        &self,
        key: &ProviderKey,
        token: &str,
        facts: &RequestFacts,
    ) -> Result<Heard, Error> {
        // Disabled ones are heard, too: their sessions go on until somebody ends them.
        let provider = self.provider(key).await?.ok_or(Error::NotFound)?;
        let now = self.now();
        let judged = self
            .inner
            .providers
            .logged_out(&provider.setup, token, now)
            .await;
        let told = match judged {
            Ok(told) => told,
            Err(Fault::Away) => return Err(Error::Unavailable),
            Err(fault) => {
                tracing::warn!(provider.key = %key, fault = ?fault, "a logout token was refused");
                return Ok(Heard::Refused);
            }
        };
        let ended = EndedThere {
            issuer: provider.setup.issuer.clone(),
            subject: told.subject,
            sid: told.sid,
        };
        let once = Sha256::new()
            .chain_update(ended.issuer.as_bytes())
            .chain_update([0])
            .chain_update(told.id.as_bytes())
            .finalize()
            .into();
        let (facts, key) = (facts.clone(), key.clone());
        self.flush_activity().await?;
        let (rows, _) = self
            .write_then(
                move |tx, trail| {
                    Box::pin(async move {
                        let (mut rows, mut stopped) = (Vec::new(), Stopped::default());
                        if !db::identities::spend(tx, &once, told.over_at, now).await? {
                            return Ok((rows, stopped));
                        }
                        let mut events = Vec::new();
                        for id in db::identities::live_sessions(tx, &ended, now).await? {
                            let reason = EndReason::IdentityProvider;
                            let Some(more) =
                                db::sessions::end(tx, id, now, reason, None, None).await?
                            else {
                                continue;
                            };
                            let Some((record, authority)) = db::sessions::find(tx, id).await?
                            else {
                                continue;
                            };
                            let about = ended_event(now, &facts)
                                .to(&authority.user, record.organisation_id)
                                .on(id)
                                .with(reason.as_str());
                            events.extend(with_stopped(about, &more));
                            rows.push(EndedRow {
                                id,
                                lineage_hash: record.lineage_hash,
                            });
                            stopped.extend(more);
                        }
                        let heard = event(
                            now,
                            AuditAction::ProviderSignedOut,
                            AuditOutcome::Success,
                            Some(&facts),
                        );
                        events.push(heard.with(format!("{key}: {} sessions", rows.len())));
                        trail.append_all(tx, &events).await?;
                        Ok((rows, stopped))
                    })
                },
                |service, (rows, stopped)| {
                    service.ended_many(rows, EndReason::IdentityProvider, stopped);
                },
            )
            .await?;
        Ok(Heard::Ended(rows.len() as u64))
    }
}

fn ended_event(now: Timestamp, facts: &RequestFacts) -> db::AuditRecord {
    event(
        now,
        AuditAction::SessionEnded,
        AuditOutcome::Success,
        Some(facts),
    )
}

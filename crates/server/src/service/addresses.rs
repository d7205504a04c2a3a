//! Addresses that are refused for a while because too many sign-ins from them failed. They are nobody's: who sees and
//! releases them needs `users.unlock` in all organisations.

use std::net::IpAddr;

use rollcall_core::{
    AddressRange, AuditAction, AuditOutcome, Error, Field, Permission, Problem, ThrottledAddress,
};

use super::Service;
use super::audit::{Describe, event};
use super::caller::Caller;
use super::facts::RequestFacts;
use crate::db::Scope;

impl Service {
    /// Those that are refused now, the last to be free again first.
    pub fn throttled_addresses(&self, caller: &Caller) -> Result<Vec<ThrottledAddress>, Error> {
        everywhere(caller)?;
        let throttled = self.inner.throttle.throttled(self.now()).into_iter();
        Ok(throttled
            .map(|(network, until)| ThrottledAddress {
                address: written(network),
                until,
            })
            .collect())
    }

    /// Gives an address all its attempts back; nothing happens if it has them.
    pub async fn release_address(
        &self,
        caller: &Caller,
        facts: &RequestFacts,
        address: &str,
    ) -> Result<(), Error> {
        let about = event(
            self.now(),
            AuditAction::AddressReleased,
            AuditOutcome::Success,
            Some(facts),
        )
        .by(caller.user_id(), caller.name());
        let permitted = everywhere(caller);
        self.note_refusal(caller, about.clone(), &permitted).await;
        permitted?;
        let malformed = Error::Invalid(Field::Ip, Problem::Malformed);
        let range = AddressRange::parse(address).ok_or(malformed)?;
        // An IPv6 address stands for its /64, as it is counted.
        let network = written(range.first());
        if written_as_counted(range) != network {
            return Err(malformed);
        }
        let released = self.inner.throttle.release(range.first());
        if released {
            self.note_event(about.with(network)).await;
        }
        Ok(())
    }
}

fn everywhere(caller: &Caller) -> Result<(), Error> {
    match caller.authorise(Permission::UsersUnlock)? {
        Scope::All => Ok(()),
        _ => Err(Error::Forbidden),
    }
}

fn written(network: IpAddr) -> String {
    match super::facts::network_of(network) {
        network @ IpAddr::V4(_) => network.to_string(),
        network @ IpAddr::V6(_) => format!("{network}/64"),
    }
}

// The range as it would be counted; one that is wider or narrower than that is none of ours.
fn written_as_counted(range: AddressRange) -> String {
    match range.is_single() {
        true => written(range.first()),
        false => range.to_string(),
    }
}

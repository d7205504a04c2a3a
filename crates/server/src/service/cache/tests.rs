//! What the cache answers when reads and changes of one session meet, step by step.

use rollcall_core::session::{Kind, Method};
use rollcall_core::{
    Columns, EndReason, OrganisationId, OrganisationRef, Rights, SessionId, UserId, UserRef,
};
use uuid::Uuid;

use super::*;

const KEY: Key = [7; 32];
const START: Timestamp = Timestamp(1_000_000);

fn authority() -> Arc<Authority> {
    let id = Uuid::nil();
    Arc::new(Authority {
        user: UserRef {
            id: UserId(id),
            email: "nora@acme.test".to_owned(),
            name: "Nora".to_owned(),
            service_account: false,
        },
        user_enabled: true,
        deleted: false,
        password_change_required: false,
        time_zone: None,
        columns: Columns::default(),
        organisation: OrganisationRef {
            id: OrganisationId(id),
            name: "Acme".to_owned(),
        },
        organisation_enabled: true,
        role_key: "member".to_owned(),
        role_name: "Member".to_owned(),
        roles: Vec::new(),
        rights: Rights::default(),
        user_ended_before: None,
        organisation_ended_before: None,
        installation_ended_before: None,
    })
}

fn record(generation: i64, used: bool) -> SessionRecord {
    SessionRecord {
        id: SessionId(Uuid::nil()),
        user_id: UserId(Uuid::nil()),
        organisation_id: OrganisationId(Uuid::nil()),
        lineage_hash: KEY,
        secret_hash: [0; 32],
        rotation_key: [0; 32],
        generation,
        first_used_at: used.then_some(START),
        name: "Firefox on Linux".to_owned(),
        kind: Kind::Console,
        method: Method::Password,
        keep: false,
        ip: "203.0.113.7".to_owned(),
        user_agent: String::new(),
        browser: String::new(),
        system: String::new(),
        server_name: String::new(),
        created_at: START,
        authenticated_at: START,
        last_activity_at: START,
        idle_timeout_seconds: 60,
        idle_expires_at: START,
        absolute_expires_at: START,
        ended: None,
    }
}

/// What a read finds: the session after so many rotations, under a name that says which read it was.
fn read(cache: &SessionCache, generation: i64, name: &str) -> CachedSession {
    let record = SessionRecord {
        name: name.to_owned(),
        ..record(generation, false)
    };
    CachedSession::new(record, authority(), cache.authority_version())
}

fn change(cache: &SessionCache, generation: i64, name: &str) {
    cache.changed(KEY, Arc::new(read(cache, generation, name)));
}

fn fill(cache: &SessionCache, generation: i64, name: &str) -> Option<String> {
    cache
        .fill(KEY, read(cache, generation, name))
        .map(|entry| entry.record.name.clone())
}

fn known(cache: &SessionCache) -> Option<String> {
    cache.get(&KEY).map(|entry| entry.record.name.clone())
}

fn named(name: &str) -> Option<String> {
    Some(name.to_owned())
}

/// As it is a minute later.
fn forget_floors(cache: &SessionCache) {
    cache.stripe(&KEY).floors.clear();
}

/// As it is when others have taken the room.
fn push_out(cache: &SessionCache) {
    cache.entries.remove(&KEY);
}

#[test]
fn a_version_grows_with_each_first_use_and_each_rotation() {
    let life = [(0, false), (0, true), (1, false), (1, true), (2, false)];
    let versions = life.map(|(generation, used)| {
        CachedSession::new(record(generation, used), authority(), 0).version()
    });
    assert!(
        versions.is_sorted_by(|one, next| one < next),
        "{versions:?}"
    );
}

#[test]
fn what_was_read_is_known_until_authority_changes() {
    let cache = SessionCache::new(8);
    assert_eq!(known(&cache), None);
    let early = read(&cache, 0, "early");
    assert_eq!(fill(&cache, 0, "first"), named("first"));
    assert_eq!(known(&cache), named("first"));
    cache.authority_changed();
    assert_eq!(known(&cache), None);
    // A read that began before the change does not count as one after it.
    cache.fill(KEY, early);
    assert_eq!(known(&cache), None);
    assert_eq!(fill(&cache, 0, "second"), named("second"));
    assert_eq!(known(&cache), named("second"));
}

#[test]
fn what_has_ended_comes_back_by_no_read_and_no_change() {
    let cache = SessionCache::new(8);
    assert!(!cache.has_ended(&KEY));
    fill(&cache, 0, "live");
    cache.ended(KEY);
    assert!(cache.has_ended(&KEY));
    assert_eq!(known(&cache), None);
    assert_eq!(fill(&cache, 5, "read before"), None);
    change(&cache, 5, "changed before");
    assert_eq!(known(&cache), None);
    assert!(cache.has_ended(&KEY));
    // Of others nothing is said.
    assert!(!cache.has_ended(&[8; 32]));
}

#[test]
fn a_read_that_is_older_than_a_change_is_dropped() {
    let cache = SessionCache::new(8);
    change(&cache, 1, "rotated");
    assert_eq!(fill(&cache, 0, "late"), named("rotated"));
    assert_eq!(known(&cache), named("rotated"));
    push_out(&cache);
    assert_eq!(fill(&cache, 0, "late"), None, "the floor knows");
    assert_eq!(known(&cache), None);
    // As new as the change, or newer, is good.
    assert_eq!(fill(&cache, 1, "as new"), named("as new"));
    push_out(&cache);
    assert_eq!(fill(&cache, 2, "newer"), named("newer"));
    assert_eq!(known(&cache), named("newer"));
}

#[test]
fn a_change_is_never_overwritten_by_an_older_one() {
    let cache = SessionCache::new(8);
    change(&cache, 2, "second");
    change(&cache, 1, "first");
    assert_eq!(known(&cache), named("second"));
    push_out(&cache);
    change(&cache, 1, "first");
    assert_eq!(known(&cache), None, "the floor knows");
    // The same version with something else changed.
    change(&cache, 2, "renamed");
    assert_eq!(known(&cache), named("renamed"));
    change(&cache, 2, "renamed again");
    assert_eq!(known(&cache), named("renamed again"));
    forget_floors(&cache);
    change(&cache, 1, "first");
    assert_eq!(known(&cache), named("renamed again"), "the entry knows");
    change(&cache, 2, "once more");
    assert_eq!(known(&cache), named("once more"));
}

#[test]
fn of_two_reads_the_newer_one_stays() {
    let cache = SessionCache::new(8);
    fill(&cache, 2, "newer");
    assert_eq!(fill(&cache, 1, "older"), named("newer"));
    assert_eq!(known(&cache), named("newer"));
    // The later of two that are alike.
    assert_eq!(fill(&cache, 2, "alike"), named("alike"));
    assert_eq!(fill(&cache, 3, "newest"), named("newest"));
    assert_eq!(known(&cache), named("newest"));
    // An entry under an old authority keeps nothing out.
    cache.authority_changed();
    assert_eq!(
        fill(&cache, 2, "under the new one"),
        named("under the new one")
    );
    assert_eq!(known(&cache), named("under the new one"));
}

#[test]
fn uses_are_noted_once_for_all_copies_of_a_session() {
    let cache = SessionCache::new(8);
    let first = cache.fill(KEY, read(&cache, 0, "first")).expect("an entry");
    let later = Timestamp(START.0 + 5);
    assert!(first.touch(later), "nothing was waiting");
    assert!(!first.touch(START));
    assert_eq!(first.last_activity_at(), later);
    let second = cache
        .fill(KEY, read(&cache, 0, "second"))
        .expect("an entry");
    assert_eq!(second.last_activity_at(), later);
    assert!(!second.touch(later), "it waits already");
    second.activity_is_being_written();
    assert!(first.touch(later));
    assert_eq!(second.idle_expires_at(), Timestamp(later.0 + 60_000_000));
    // What another server wrote is newer.
    let mut newer = read(&cache, 0, "third");
    newer.usage = Arc::new(Usage {
        last_activity: AtomicI64::new(later.0 + 1),
        unwritten: AtomicBool::new(false),
    });
    cache.fill(KEY, newer);
    assert_eq!(first.last_activity_at(), Timestamp(later.0 + 1));
}

#[test]
fn a_floor_stays_for_a_minute() {
    let mut stripe = Stripe::default();
    let (start, second) = (Instant::now(), Duration::from_secs(1));
    let keys = |stripe: &Stripe| {
        let mut keys: Vec<_> = stripe.floors.keys().map(|key| key[0]).collect();
        keys.sort_unstable();
        keys
    };
    stripe.set_floor([1; 32], Floor::Ended, start);
    stripe.set_floor([2; 32], Floor::Version(1), start + 30 * second);
    stripe.set_floor([3; 32], Floor::Version(1), start + 59 * second);
    assert_eq!(keys(&stripe), [1, 2, 3]);
    // Looked through when the last time is a quarter of a minute ago: at 30, 59, 74 seconds.
    stripe.set_floor([4; 32], Floor::Version(1), start + 73 * second);
    assert_eq!(keys(&stripe), [1, 2, 3, 4]);
    stripe.set_floor([5; 32], Floor::Version(1), start + 74 * second);
    assert_eq!(keys(&stripe), [2, 3, 4, 5]);
    stripe.set_floor([6; 32], Floor::Version(1), start + 90 * second);
    assert_eq!(
        keys(&stripe),
        [3, 4, 5, 6],
        "a minute to the second is over"
    );
}

#[test]
fn whether_it_lives_is_decided_by_all_that_could_have_ended_it() {
    let alive = Authority {
        user_ended_before: Some((START, EndReason::PasswordReset)),
        ..Arc::unwrap_or_clone(authority())
    };
    let life = |authority: Authority| {
        let entry = CachedSession::new(record(0, true), Arc::new(authority), 0);
        let life = entry.life();
        (
            life.user_enabled,
            life.organisation_enabled,
            life.user_ended_before,
        )
    };
    let epoch = alive.user_ended_before;
    assert_eq!(life(alive.clone()), (true, true, epoch));
    let deleted = Authority {
        deleted: true,
        ..alive.clone()
    };
    assert_eq!(life(deleted), (false, true, epoch));
    let disabled = Authority {
        user_enabled: false,
        ..alive.clone()
    };
    assert_eq!(life(disabled), (false, true, epoch));
    let closed = Authority {
        organisation_enabled: false,
        ..alive
    };
    assert_eq!(life(closed), (true, false, epoch));
}

//! Every schedule of a small world, checked against the five claims of `docs/rotation.md` ("What holds").
//!
//! The world: a server that decides by the real `rotation::judge` and `session::state_at`; three honest
//! clients with a request each, which share one cookie jar or each take over their own successors; a
//! thief who copies a token at any time, and again; messages that are lost, late and overtaken; writes that
//! are refused; an administrator who ends the session; crashes at any point. A request looks (at the cached
//! row, or the stored one) and judges, then writes by a conditional update, then tells the cache and
//! answers; anything may happen in between.
//!
//! What is bounded, and nothing else:
//! - Time goes in steps of 10 seconds, which is also the grace and the shortest `rotate_every`, so that
//!   "exactly 10 seconds" and "later" both occur. The session reaches its absolute limit after `world::LIMIT`
//!   steps, which is enough for two rotations. Idle timeouts are left to `state_at`'s own tests.
//! - One lineage, and at most one request at a time from each client and the thief; when one is over or lost
//!   the next may begin, however many there were.
//! - A judgement is written within 10 seconds or refused (the server gives up after 5), and the cache is told
//!   of a commit before the clock moves on. Reading the stored row and keeping it in the cache is one step.
//! - A secret is the number of its generation: that HMAC makes the same successor each time, and that nobody
//!   guesses one, is not the model's business.
//!
//! That is 829,162 states with one jar and 1,006,651 with tokens of their own: about a quarter of a minute of one
//! core each, without optimisation.

use stateright::{Checker, HasDiscoveries, Model, Property};

#[path = "rotation_model/server.rs"]
mod server;
#[path = "rotation_model/world.rs"]
mod world;

use server::Server;
use world::{Action, Claim, End, World};

/// A world to be searched.
struct Rotation {
    server: Server,
    /// True for one cookie jar, as in a browser with three tabs; false where each client has a token of its
    /// own and takes over the successors from its own answers.
    one_jar: bool,
}

const CLAIMS: [(Claim, &str); 5] = [
    (Claim::OneSuccessor, "1: one lineage, one successor"),
    (Claim::HonestStays, "2: an honest client stays signed in"),
    (Claim::StaleEnds, "3: a stale token ends the session"),
    (Claim::LimitStays, "4: the absolute limit stays"),
    (Claim::EndStays, "5: an ended session stays ended"),
];

impl Model for Rotation {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::after_sign_in()]
    }

    fn actions(&self, state: &World, actions: &mut Vec<Action>) {
        state.possible(actions);
    }

    fn next_state(&self, state: &World, action: Action) -> Option<World> {
        let mut next = state.clone();
        next.take(action, self.server, self.one_jar);
        (next != *state).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(CLAIMS[0].1, |_, world: &World| {
                world.broken != Some(CLAIMS[0].0)
            }),
            Property::always(CLAIMS[1].1, |_, world: &World| {
                world.broken != Some(CLAIMS[1].0)
            }),
            Property::always(CLAIMS[2].1, |_, world: &World| {
                world.broken != Some(CLAIMS[2].0)
            }),
            Property::always(CLAIMS[3].1, |_, world: &World| {
                world.broken != Some(CLAIMS[3].0)
            }),
            Property::always(CLAIMS[4].1, |_, world: &World| {
                world.broken != Some(CLAIMS[4].0)
            }),
            // The search has been where it matters: otherwise the claims could hold for want of events.
            Property::sometimes("the second successor is in use", |_, world: &World| {
                world.row.generation == 2 && world.row.first_used.is_some()
            }),
            Property::sometimes("a copy is noticed", |_, world: &World| {
                world.row.ended == Some(End::Reuse)
            }),
            Property::sometimes("three receive the same successor", |_, world: &World| {
                world.all_receive(1)
            }),
        ]
    }
}

/// Searches all states and answers how many there are.
fn search(one_jar: bool) -> usize {
    let model = Rotation {
        server: Server::Real,
        one_jar,
    };
    let checker = model.checker().spawn_dfs().join();
    checker.assert_properties();
    checker.unique_state_count()
}

#[test]
fn the_five_claims_hold_in_every_schedule_of_one_cookie_jar() {
    let states = search(true);
    println!("{states} states");
    assert!(states > 100_000, "{states} states are too few to mean much");
}

#[test]
fn the_five_claims_hold_in_every_schedule_of_clients_that_each_take_over() {
    let states = search(false);
    println!("{states} states");
    assert!(states > 100_000, "{states} states are too few to mean much");
}

#[test]
fn each_wrong_server_breaks_the_claim_that_speaks_of_it() {
    for (server, claims) in server::WRONG {
        let model = Rotation {
            server: *server,
            one_jar: true,
        };
        let checker = model
            .checker()
            .finish_when(HasDiscoveries::AnyFailures)
            .spawn_bfs()
            .join();
        let broken: Vec<_> = CLAIMS
            .iter()
            .filter(|(_, name)| checker.discovery(name).is_some())
            .map(|(claim, _)| *claim)
            .collect();
        println!("{server:?} breaks {broken:?}");
        assert!(
            broken.iter().any(|claim| claims.contains(claim)),
            "{server:?} breaks {broken:?}"
        );
    }
}

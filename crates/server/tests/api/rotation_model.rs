//! Random schedules against a small model of `rules.md`: whatever clients, thieves, the clock, the
//! sweeper and restarts do, the server answers as the model does.

use std::sync::Arc;

use futures_util::future::join_all;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use rollcall_core::{EndReason, SessionId, Timestamp};
use rollcall_server::clock::OsRandom;
use rollcall_server::service::token::Token;
use tokio::runtime::Handle;
use tokio::sync::Barrier;

use crate::support::{Client, NewRow, Person, TestApp, hours, minutes, seconds};

both_databases!(any_schedule_goes_as_the_rules_say);

const CASES: u32 = 64;
const MOST_STEPS: usize = 60;
const ROTATE_EVERY: std::time::Duration = minutes(5);

#[derive(Clone, Debug)]
enum Step {
    /// So many seconds pass.
    Advance(u64),
    /// Someone presents the token that is so many generations behind the newest that was handed out.
    Present(usize),
    /// Several present it at once.
    Together(usize, usize),
    /// Someone knows the lineage and guesses the secret.
    Guess,
    /// The server stops and starts.
    Restart,
    /// The sweeper comes.
    Sweep,
    /// An administrator ends the session.
    End,
}

fn step() -> impl Strategy<Value = Step> {
    // Mostly the newest token, as a client does; sometimes older ones, as retries and thieves do.
    let behind = || prop_oneof![12 => Just(0_usize), 5 => Just(1), 1 => 2..5_usize];
    prop_oneof![
        8 => prop_oneof![1..=12_u64, 290..=310_u64, Just(10), Just(11), Just(300), Just(1_799)].prop_map(Step::Advance),
        1 => prop_oneof![Just(1_800_u64), Just(40_000)].prop_map(Step::Advance),
        20 => behind().prop_map(Step::Present),
        4 => (behind(), 2..6_usize).prop_map(|(behind, times)| Step::Together(behind, times)),
        2 => Just(Step::Guess),
        1 => Just(Step::Restart),
        2 => Just(Step::Sweep),
        1 => Just(Step::End),
    ]
}

/// What `rules.md` says of one session, and nothing else.
struct Model {
    // Every token of the lineage, as far as the server has handed it out.
    tokens: Vec<String>,
    first_used_at: Option<Timestamp>,
    idle_expires_at: Timestamp,
    absolute_expires_at: Timestamp,
    ended: Option<(Timestamp, EndReason)>,
}

#[derive(PartialEq, Eq, Debug)]
enum Expected {
    Accepted,
    // With the successor, which is known already or to be learned.
    Successor(Option<String>),
    Refused,
}

impl Model {
    fn end(&self, now: Timestamp) -> Option<(Timestamp, EndReason)> {
        let idle = (self.idle_expires_at, EndReason::IdleTimeout);
        let absolute = (self.absolute_expires_at, EndReason::AbsoluteTimeout);
        let expiry = if idle.0 <= absolute.0 { idle } else { absolute };
        self.ended.or((expiry.0 <= now).then_some(expiry))
    }

    fn present(&mut self, index: usize, now: Timestamp) -> Expected {
        if self.end(now).is_some() {
            return Expected::Refused;
        }
        let newest = self.tokens.len() - 1;
        let answer = if index == newest {
            match self.first_used_at {
                None => {
                    self.first_used_at = Some(now);
                    Expected::Accepted
                }
                Some(used) if used + ROTATE_EVERY <= now => {
                    self.first_used_at = None;
                    Expected::Successor(None)
                }
                Some(_) => Expected::Accepted,
            }
        } else if index + 1 == newest {
            match self.first_used_at {
                None => Expected::Successor(Some(self.tokens[newest].clone())),
                Some(used) if now <= used + seconds(10) => Expected::Accepted,
                Some(_) => Expected::Refused,
            }
        } else {
            Expected::Refused
        };
        if answer == Expected::Refused {
            self.ended = Some((now, EndReason::TokenReuse));
        } else {
            self.idle_expires_at = now + minutes(30);
        }
        answer
    }
}

struct World {
    app: TestApp,
    nora: Person,
    id: SessionId,
    model: Model,
}

impl World {
    async fn take(&mut self, step: &Step) {
        let behind = |behind: usize, model: &Model| {
            model.tokens.len() - 1 - behind.min(model.tokens.len() - 1)
        };
        match *step {
            Step::Advance(time) => self.app.advance(seconds(time)),
            Step::Present(some) => self.present(behind(some, &self.model), 1).await,
            Step::Together(some, times) => self.present(behind(some, &self.model), times).await,
            Step::Guess => {
                let newest = self.model.tokens.last().expect("there is one");
                let guess = format!(
                    "{}{}",
                    &newest[..27],
                    &Token::generate(&OsRandom).expose()[27..]
                );
                self.send(&guess).await.problem(401, "unauthenticated");
            }
            Step::Restart => self.app.restart().await,
            Step::Sweep => drop(
                self.app
                    .service()
                    .sweep()
                    .await
                    .expect("the database answers"),
            ),
            Step::End => {
                let answer = self
                    .administrator()
                    .await
                    .delete(&format!("/api/v1/sessions/{}", self.id))
                    .await;
                let now = self.app.now();
                if self.model.end(now).is_some() {
                    answer.problem(409, "session_not_active");
                } else {
                    answer.done();
                    self.model.ended = Some((now, EndReason::EndedByAdministrator));
                }
            }
        }
    }

    async fn present(&mut self, index: usize, times: usize) {
        let token = self.model.tokens[index].clone();
        let barrier = Arc::new(Barrier::new(times));
        let requests = (0..times).map(|_| {
            let (app, token, barrier) = (self.app.clone(), token.clone(), barrier.clone());
            tokio::spawn(async move {
                barrier.wait().await;
                let bearer = format!("Bearer {token}");
                app.anonymous()
                    .get("/api/v1/me")
                    .bare()
                    .header("authorization", bearer)
                    .await
            })
        });
        for answer in join_all(requests).await {
            let answer = answer.expect("no panic");
            match self.model.present(index, self.app.now()) {
                Expected::Accepted => {
                    answer.ok();
                    assert_eq!(answer.session_token(), None);
                }
                Expected::Successor(known) => {
                    answer.ok();
                    let successor = answer.session_token().expect("a successor");
                    match known {
                        Some(known) => assert_eq!(successor, known),
                        None => {
                            assert!(!self.model.tokens.contains(&successor));
                            self.model.tokens.push(successor);
                        }
                    }
                }
                Expected::Refused => {
                    answer.problem(401, "unauthenticated");
                    assert_eq!(answer.session_token(), None);
                }
            }
        }
    }

    async fn send(&self, token: &str) -> crate::support::Answer {
        let bearer = format!("Bearer {token}");
        self.app
            .anonymous()
            .get("/api/v1/me")
            .bare()
            .header("authorization", bearer)
            .await
    }

    async fn administrator(&self) -> Client {
        self.app.browser_of(&self.app.admin().await).await
    }

    // At the end, everybody sees what the model sees, before the sweeper and after it.
    async fn compare(&self) {
        let now = self.app.now();
        for _ in 0..2 {
            let session = self
                .administrator()
                .await
                .get(&format!("/api/v1/sessions/{}", self.id))
                .await
                .ok();
            match self.model.end(now) {
                None => assert_eq!(session["state"], "active", "{session}"),
                Some((at, reason)) => {
                    assert_eq!(session["ended"]["reason"], reason.as_str(), "{session}");
                    assert_eq!(session["ended"]["at"], at.to_string(), "{session}");
                }
            }
            assert_eq!(session["user"]["email"], self.nora.email);
            self.app
                .service()
                .sweep()
                .await
                .expect("the database answers");
        }
        let rotations = i64::try_from(self.model.tokens.len()).expect("few") - 1;
        assert_eq!(
            self.app.stored(self.id).await.generation,
            rotations,
            "one lineage"
        );
        let alarm = matches!(self.model.ended, Some((_, EndReason::TokenReuse)));
        let events = self
            .administrator()
            .await
            .get(&format!("/api/v1/audit?session={}", self.id))
            .await
            .ok();
        let reused = events["items"]
            .as_array()
            .expect("a list")
            .iter()
            .filter(|event| event["action"] == "token.reused");
        assert_eq!(reused.count(), usize::from(alarm), "{events}");
    }
}

async fn schedule(app: &TestApp, nora: &Person, steps: &[Step]) {
    let now = app.now();
    let (id, token) = app.open_session(nora, NewRow::default()).await;
    let model = Model {
        tokens: vec![token],
        first_used_at: Some(now),
        idle_expires_at: now + minutes(30),
        absolute_expires_at: now + hours(24),
        ended: None,
    };
    let mut world = World {
        app: app.clone(),
        nora: nora.clone(),
        id,
        model,
    };
    for step in steps {
        world.take(step).await;
    }
    world.compare().await;
}

async fn any_schedule_goes_as_the_rules_say() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    };
    let handle = Handle::current();
    let schedules = prop::collection::vec(step(), 1..=MOST_STEPS);
    tokio::task::block_in_place(|| {
        let outcome = TestRunner::new(config).run(&schedules, |steps| {
            let work =
                std::panic::AssertUnwindSafe(|| handle.block_on(schedule(&app, &nora, &steps)));
            std::panic::catch_unwind(work).map_err(|panic| {
                let words = panic
                    .downcast_ref::<String>()
                    .map(String::as_str)
                    .or(panic.downcast_ref::<&str>().copied());
                TestCaseError::fail(words.unwrap_or("a panic").to_owned())
            })
        });
        outcome.unwrap_or_else(|error| panic!("{error}"));
    });
}

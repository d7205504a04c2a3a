//! A few threads for work that takes memory by the megabyte.
//!
//! The allocator keeps what a thread has freed for that thread. On the runtime's blocking threads, of which there can be
//! hundreds, hashing passwords would come to hold hundreds of times the memory of one hash.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

type Job = Box<dyn FnOnce() + Send>;

/// The threads end when the last clone of this is dropped.
#[derive(Clone, Debug)]
pub(super) struct Workers {
    jobs: Sender<Job>,
}

impl Workers {
    /// Starts so many threads.
    pub(super) fn start(threads: usize) -> Self {
        let (jobs, waiting) = channel();
        let waiting = Arc::new(Mutex::new(waiting));
        for number in 0..threads.max(1) {
            let waiting = Arc::clone(&waiting);
            let started = std::thread::Builder::new()
                .name(format!("worker-{number}"))
                .spawn(move || work(&waiting));
            if let Err(error) = started {
                // Others may have started; without any, work is answered `None`.
                tracing::error!(%error, "a thread for hashing passwords could not be started");
            }
        }
        Self { jobs }
    }

    /// Does some work on one of the threads, to its end, whoever waits for it. `None` if it panicked.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let (done, answer) = oneshot::channel();
        let job: Job = Box::new(move || {
            // Nobody may be waiting any more.
            let _ = done.send(work());
        });
        self.jobs.send(job).ok()?;
        answer.await.ok()
    }
}

fn work(waiting: &Mutex<Receiver<Job>>) {
    loop {
        // Held while waiting for a job, not while doing it.
        let next = waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .recv();
        let Ok(job) = next else {
            return;
        };
        // One broken job is no reason to have a thread less; its asker sees that nothing came.
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_is_done_on_a_few_threads_and_a_panic_costs_none() {
        let workers = Workers::start(2);
        let names = async || {
            let work =
                (0..20).map(|_| workers.run(|| std::thread::current().name().map(str::to_owned)));
            let names = futures_util::future::join_all(work).await;
            names
                .into_iter()
                .map(|name| name.flatten().expect("a worker has a name"))
                .collect::<std::collections::BTreeSet<_>>()
        };
        let known = ["worker-0".to_owned(), "worker-1".to_owned()];
        assert!(names().await.iter().all(|name| known.contains(name)));
        for _ in 0..4 {
            let broken: Option<()> = workers.run(|| panic!("on purpose")).await;
            assert!(broken.is_none());
        }
        assert!(names().await.iter().all(|name| known.contains(name)));
    }
}

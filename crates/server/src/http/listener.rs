//! Connections: accepted as long as there is room, cut when they dawdle, drained when the server stops.
//!
//! `axum::serve` has no time limit for a request's head, so this is our own loop.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tower::ServiceExt;

use super::address::Peer;

/// How long connections are waited for.
#[derive(Clone, Copy, Debug)]
struct Patience {
    /// For a request's head, and for the next request on an idle connection.
    head: Duration,
    /// For requests under way when the server stops.
    drain: Duration,
}

const PATIENCE: Patience = Patience {
    head: Duration::from_secs(10),
    drain: Duration::from_secs(10),
};

/// The largest head of a request, in bytes.
const LARGEST_HEAD: usize = 64 * 1024;

/// The most headers that a request may have.
const MOST_HEADERS: usize = 100;

/// How long to wait when the operating system has no file descriptor left.
const BREATHER: Duration = Duration::from_millis(50);

/// Serves until `stop` is over, then lets requests under way finish, for at most ten seconds.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    most: usize,
    stop: impl Future<Output = ()>,
) {
    serve_with(PATIENCE, listener, router, most, stop).await;
}

async fn serve_with(
    patience: Patience,
    listener: TcpListener,
    router: Router,
    most: usize,
    stop: impl Future<Output = ()>,
) {
    let room = Arc::new(Semaphore::new(most));
    let graceful = GracefulShutdown::new();
    let builder = Arc::new(builder(patience));
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &room) => accepted,
            () = &mut stop => break,
        };
        let (stream, peer, place) = accepted;
        tokio::spawn(connection(
            patience,
            stream,
            peer,
            place,
            builder.clone(),
            router.clone(),
            graceful.watcher(),
        ));
    }
    drop(listener);
    tracing::info!(
        connections = graceful.count(),
        "stopping: no new connections"
    );
    if timeout(patience.drain, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not finish in time and were cut");
    }
}

// The place is taken first: what there is no room for stays in the operating system's queue.
async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, Option<OwnedSemaphorePermit>) {
    // The semaphore is never closed.
    let place = room.clone().acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer, place),
            // The one who connected is gone already.
            Err(error) if is_about_one_connection(&error) => {}
            // No file descriptors or no memory: others will close theirs.
            Err(error) => {
                tracing::error!(error = %error, "a connection could not be accepted");
                sleep(BREATHER).await;
            }
        }
    }
}

fn is_about_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    )
}

fn builder(patience: Patience) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(patience.head)
        .max_buf_size(LARGEST_HEAD)
        .max_headers(MOST_HEADERS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(LARGEST_HEAD as u32)
        .max_concurrent_streams(100)
        .keep_alive_interval(patience.head)
        .keep_alive_timeout(patience.head);
    builder
}

/// What the requests of one connection are doing, for the watch over it. Plain counters: a token check
/// takes microseconds, and waking somebody for each would show.
#[derive(Default)]
struct Traffic {
    under_way: AtomicUsize,
    /// Requests begun, answers ready and parts of answers taken by the network.
    moved: AtomicUsize,
}

impl Traffic {
    fn note(&self) {
        self.moved.fetch_add(1, Ordering::Relaxed);
    }

    /// What has moved so far; `None` while a request is being worked on.
    fn idle_since(&self) -> Option<usize> {
        (self.under_way.load(Ordering::Relaxed) == 0).then(|| self.moved.load(Ordering::Relaxed))
    }
}

/// Counts a request as under way until it is dropped, however it ends.
struct UnderWay(Arc<Traffic>);

impl UnderWay {
    fn begin(traffic: &Arc<Traffic>) -> Self {
        traffic.under_way.fetch_add(1, Ordering::Relaxed);
        traffic.note();
        Self(traffic.clone())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
        self.0.note();
    }
}

async fn connection(
    patience: Patience,
    stream: TcpStream,
    peer: SocketAddr,
    _place: Option<OwnedSemaphorePermit>,
    builder: Arc<Builder<TokioExecutor>>,
    router: Router,
    watcher: Watcher,
) {
    // Answers are small; waiting to fill a packet only costs time.
    let _ = stream.set_nodelay(true);
    let traffic = Arc::new(Traffic::default());
    let counted = traffic.clone();
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let under_way = UnderWay::begin(&counted);
        let router = router.clone();
        async move {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(Peer(peer));
            let Ok(response) = router.oneshot(request).await;
            let streaming = under_way.0.clone();
            drop(under_way);
            // A long answer lives as long as it gets on; one that nobody reads does not.
            let watched = response.map(|body| body.inspect_frame(move |_| streaming.note()));
            Ok::<_, Infallible>(watched)
        }
    });
    let served = builder
        .serve_connection(TokioIo::new(stream), service)
        .into_owned();
    tokio::select! {
        // What goes wrong on a connection is the other side's doing: cut off, malformed, too slow.
        result = watcher.watch(served) => if let Err(error) = result {
            tracing::debug!(error = %error, "a connection ended early");
        },
        () = dawdling(patience.head, &traffic) => tracing::debug!("an idle connection was cut"),
    }
}

// hyper limits the head of an HTTP/1 request, but not the time until it is clear which HTTP is spoken,
// not an idle HTTP/2 connection, and not an answer that nobody reads. This covers all three: nothing
// moves for so long, and it is over. Later on it looks at twice the patience, so that hyper's own limit,
// which answers properly, comes first where it applies.
async fn dawdling(patience: Duration, traffic: &Traffic) {
    let mut seen = traffic.idle_since();
    let mut limit = patience;
    loop {
        sleep(limit).await;
        let now = traffic.idle_since();
        if now.is_some() && now == seen {
            return;
        }
        seen = now;
        limit = patience * 2;
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream as Plain;
    use std::time::Instant;

    use super::*;
    use axum::routing::get;

    const SHORT: Patience = Patience {
        head: Duration::from_millis(200),
        drain: Duration::from_secs(5),
    };

    async fn started(
        patience: Patience,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let slow = || async {
            sleep(Duration::from_millis(300)).await;
            "late"
        };
        let router = Router::new()
            .route("/", get(|| async { "hello" }))
            .route("/slow", get(slow));
        tokio::spawn(serve_with(patience, listener, router, 2, stop));
        address
    }

    // Says something and listens until the server has nothing more to say.
    async fn ask(address: SocketAddr, words: String) -> (String, Duration) {
        let began = Instant::now();
        tokio::task::spawn_blocking(move || {
            let mut stream = Plain::connect(address).unwrap();
            stream.write_all(words.as_bytes()).unwrap();
            let mut text = Vec::new();
            // An end with a reset is an end too.
            let _ = stream.read_to_end(&mut text);
            (String::from_utf8_lossy(&text).into_owned(), began.elapsed())
        })
        .await
        .unwrap()
    }

    #[tokio::test]
    async fn a_request_is_answered_and_too_many_headers_are_not() {
        let address = started(PATIENCE, std::future::pending()).await;
        let (answer, _) = ask(
            address,
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".to_owned(),
        )
        .await;
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.ends_with("hello"),
            "{answer}"
        );
        let many = "A: b\r\n".repeat(MOST_HEADERS + 1);
        let (answer, _) = ask(address, format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
        let large = "a".repeat(LARGEST_HEAD);
        let (answer, _) = ask(
            address,
            format!("GET / HTTP/1.1\r\nHost: a\r\nA: {large}\r\n\r\n"),
        )
        .await;
        assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    }

    #[tokio::test]
    async fn ten_thousand_connections_take_little_memory() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stream, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (accepted, peer) = accepted.unwrap();
        let served = connection(
            PATIENCE,
            accepted,
            peer,
            None,
            Arc::new(builder(PATIENCE)),
            Router::new(),
            GracefulShutdown::new().watcher(),
        );
        // Beside what hyper reads into. Twice as much would mean that something is kept twice.
        let size = size_of_val(&served);
        assert!(size < 2_500, "{size} bytes");
        drop((stream, served));
    }

    #[tokio::test]
    async fn a_connection_that_says_nothing_or_too_little_is_cut() {
        let address = started(SHORT, std::future::pending()).await;
        for words in [
            "",
            "P",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "GET / HTTP/1.1\r\nHo",
        ] {
            let (_, took) = ask(address, words.to_owned()).await;
            assert!(took < Duration::from_secs(5), "{words:?} {took:?}");
        }
    }

    #[tokio::test]
    async fn a_long_answer_is_not_cut() {
        let address = started(SHORT, std::future::pending()).await;
        let (answer, _) = ask(address, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n".to_owned()).await;
        assert!(answer.ends_with("late"), "{answer}");
    }

    #[tokio::test]
    async fn a_request_under_way_is_finished_when_the_server_stops() {
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let until = async {
            let _ = stopped.await;
        };
        let address = started(PATIENCE, until).await;
        let asked = tokio::spawn(ask(
            address,
            "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
        ));
        sleep(Duration::from_millis(100)).await;
        stop.send(()).unwrap();
        let (answer, _) = asked.await.unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.ends_with("late"),
            "{answer}"
        );
        assert!(Plain::connect(address).is_err());
    }
}

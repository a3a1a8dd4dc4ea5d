//! Accepting connections: so many at one time, each with a time for its request's header, and an end that
//! lets requests under way finish.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

use crate::limits::Limits;

/// Bytes of a request's head, its query included: the longest frame that travels in a query is a status
/// request, below 300 bytes of base64.
const MAX_HEAD: usize = 16 << 10;

/// Serves `router` until `stop` says so (or its sender is gone), then waits for the requests under way,
/// as long as a request may take.
pub async fn listen(listener: TcpListener, router: Router, limits: Limits, mut stop: watch::Receiver<bool>) {
    let connections = Arc::new(Semaphore::new(limits.connections));
    let graceful = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    // Also how long an idle connection is kept. A body that comes slowly is the router's to end.
    http.timer(TokioTimer::new()).header_read_timeout(limits.request_time).max_buf_size(MAX_HEAD);
    loop {
        let accept = async {
            let permit = Arc::clone(&connections).acquire_owned().await;
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            accepted = accept => accepted,
        };
        let Ok((stream, _)) = accepted else {
            // Out of file descriptors, most likely: others must end first.
            sleep(Duration::from_millis(50)).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(router.clone());
        let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            // A connection that fails is its other end's business.
            let _ = connection.await;
            drop(permit);
        });
    }
    drop(listener);
    let _ = timeout(limits.request_time, graceful.shutdown()).await;
}

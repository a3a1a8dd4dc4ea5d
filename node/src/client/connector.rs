//! Opening connections: TCP, and TLS over it where the feature `tls` is there.

use std::time::Duration;

use hyper_util::client::legacy::connect::HttpConnector;

/// How long opening a connection may take, where the request has longer.
const PATIENCE: Duration = Duration::from_secs(5);

#[cfg(feature = "tls")]
pub type Connector = hyper_rustls::HttpsConnector<HttpConnector>;
#[cfg(not(feature = "tls"))]
pub type Connector = HttpConnector;

fn tcp() -> HttpConnector {
    let mut tcp = HttpConnector::new();
    tcp.set_connect_timeout(Some(PATIENCE));
    tcp.set_nodelay(true);
    tcp
}

/// Without the feature there are no URLs that need TLS, see `BaseUrl`.
#[cfg(not(feature = "tls"))]
#[expect(clippy::unnecessary_wraps, reason = "with the feature it may fail")]
pub fn connector(_with_tls: bool) -> Result<Connector, String> {
    Ok(tcp())
}

/// Trusts the system's certificates, or none where none are needed.
#[cfg(feature = "tls")]
pub fn connector(with_tls: bool) -> Result<Connector, String> {
    use hyper_rustls::{ConfigBuilderExt, HttpsConnectorBuilder};
    use rustls::{ClientConfig, RootCertStore, crypto::ring};

    let provider = ring::default_provider();
    let builder = ClientConfig::builder_with_provider(provider.into()).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| error.to_string())?;
    let config = if with_tls {
        builder.with_native_roots().map_err(|error| format!("the system's certificates: {error}"))?
    } else {
        builder.with_root_certificates(RootCertStore::empty())
    };
    let mut tcp = tcp();
    tcp.enforce_http(false);
    let builder = HttpsConnectorBuilder::new().with_tls_config(config.with_no_client_auth());
    Ok(builder.https_or_http().enable_http1().wrap_connector(tcp))
}

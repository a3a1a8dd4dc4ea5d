//! Where a server is.

use std::fmt;
use std::str::FromStr;

use hyper::Uri;
use hyper::http::uri::Scheme;

/// A server's URL, below which its endpoints are: `http://HOST[:PORT][/PATH]`, or `https://` where this is
/// built with the feature `tls`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl {
    /// Without a slash at its end.
    text: String,
    is_https: bool,
}

/// Why a text is no [`BaseUrl`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadUrl {
    /// It is no URL, or not one of a place below which others are.
    NotABase,
    /// Its scheme is neither `http` nor `https`.
    Scheme,
    /// It is an `https://` URL, and this was built without the feature `tls`.
    NoTls,
}

impl BaseUrl {
    /// Whether it is reached with TLS.
    pub fn is_https(&self) -> bool {
        self.is_https
    }

    /// An endpoint below it, with a query. Names and values are taken as they are: none of ours needs to be
    /// escaped, and one that does is an error.
    pub fn endpoint(&self, path: &str, query: &[(&str, &str)]) -> Result<Uri, BadUrl> {
        let mut text = format!("{}/{path}", self.text);
        for (at, (name, value)) in query.iter().enumerate() {
            text.extend([if at == 0 { "?" } else { "&" }, name, "=", value]);
        }
        Uri::try_from(text).map_err(|_| BadUrl::NotABase)
    }
}

impl FromStr for BaseUrl {
    type Err = BadUrl;

    fn from_str(text: &str) -> Result<Self, BadUrl> {
        let uri = Uri::from_str(text).map_err(|_| BadUrl::NotABase)?;
        let scheme = uri.scheme().ok_or(BadUrl::NotABase)?;
        let is_https = *scheme == Scheme::HTTPS;
        if !is_https && *scheme != Scheme::HTTP {
            return Err(BadUrl::Scheme);
        }
        if is_https && cfg!(not(feature = "tls")) {
            return Err(BadUrl::NoTls);
        }
        let authority = uri.authority().ok_or(BadUrl::NotABase)?;
        let is_base = !authority.host().is_empty() && !authority.as_str().contains('@');
        // A fragment is cut off by the parser, and would be lost without a word.
        if !is_base || uri.query().is_some() || text.contains('#') {
            return Err(BadUrl::NotABase);
        }
        let text = format!("{scheme}://{authority}{}", uri.path().trim_end_matches('/'));
        Ok(Self { text, is_https })
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for BadUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotABase => "not a URL of a node, which is http://HOST:PORT",
            Self::Scheme => "an http:// or https:// URL is needed",
            Self::NoTls => "https:// needs the feature `tls`, without which this was built: cargo build --features tls",
        })
    }
}

impl std::error::Error for BadUrl {}

#[cfg(test)]
mod tests {
    use super::{BadUrl, BaseUrl};

    #[test]
    fn an_endpoint_is_below_its_base() {
        for (base, endpoint) in [
            ("http://node.example", "http://node.example/key?log=ab&size=3"),
            ("http://node.example/", "http://node.example/key?log=ab&size=3"),
            ("HTTP://[::1]:7001/below/", "http://[::1]:7001/below/key?log=ab&size=3"),
        ] {
            let base: BaseUrl = base.parse().unwrap();
            assert_eq!(base.endpoint("key", &[("log", "ab"), ("size", "3")]).unwrap().to_string(), endpoint);
            assert_eq!(base.to_string().parse(), Ok(base.clone()), "it is read as it is written");
        }
    }

    #[test]
    fn what_is_no_base_is_refused() {
        for text in ["", "node.example", "node.example:80", "/status", "http://", "http://a b", "http://a?b=c"] {
            assert_eq!(text.parse::<BaseUrl>(), Err(BadUrl::NotABase), "{text}");
        }
        for text in
            ["http://user@node.example", "http://user:word@node.example", "http://a/#b", "http://\u{e4}.example"]
        {
            assert_eq!(text.parse::<BaseUrl>(), Err(BadUrl::NotABase), "{text}");
        }
        assert_eq!("ftp://node.example".parse::<BaseUrl>(), Err(BadUrl::Scheme));
        let base: BaseUrl = "http://node.example".parse().unwrap();
        assert_eq!(base.endpoint("key", &[("log", "a b")]), Err(BadUrl::NotABase));
    }

    #[test]
    fn tls_is_a_feature_and_said_so() {
        let url = "https://node.example".parse::<BaseUrl>();
        if cfg!(feature = "tls") {
            assert!(url.unwrap().is_https());
        } else {
            assert!(url.unwrap_err().to_string().contains("--features tls"));
        }
    }
}

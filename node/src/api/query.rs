//! The parameters of a GET.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::Deserialize;
use verisoo::LogId;

use super::error::ApiError;
use crate::driver::{Engine, NotDone};

/// A query about a log; which parameters are needed depends on the endpoint, and others are refused.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogQuery {
    /// The log's id in hex; the node's own without it.
    pub log: Option<String>,
    /// The first record.
    pub start: Option<u64>,
    /// At most so many records.
    pub count: Option<u64>,
    /// The size to prove from.
    pub old_size: Option<u64>,
    /// The size to prove to.
    pub size: Option<u64>,
    /// The request in the wire format, base64url.
    pub frame: Option<String>,
}

impl LogQuery {
    /// The log that is asked about.
    pub fn log(&self, engine: &Engine) -> Result<LogId, NotDone> {
        let Some(log) = &self.log else { return Ok(engine.node.id()) };
        parse_log(log)
    }

    /// Refuses parameters other than those that are used: an answer that ignores one is to another question.
    pub(super) fn only(&self, used: &[&str]) -> Result<(), ApiError> {
        let given = [
            ("log", self.log.is_some()),
            ("start", self.start.is_some()),
            ("count", self.count.is_some()),
            ("old_size", self.old_size.is_some()),
            ("size", self.size.is_some()),
            ("frame", self.frame.is_some()),
        ];
        match given.iter().find(|(name, is_given)| *is_given && !used.contains(name)) {
            Some((name, _)) => Err(ApiError::bad(format!("{name}: not used in this request"))),
            None => Ok(()),
        }
    }
}

/// For requests that have no parameters at all.
pub(super) struct NoQuery;

impl<S: Sync> FromRequestParts<S> for NoQuery {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let is_empty = parts.uri.query().is_none_or(str::is_empty);
        if is_empty { Ok(Self) } else { Err(ApiError::bad("no parameters are used in this request")) }
    }
}

pub(super) fn parse_log(log: &str) -> Result<LogId, NotDone> {
    LogId::from_hex(log).ok_or_else(|| NotDone::nonsense("log: 64 lower-case hex digits"))
}

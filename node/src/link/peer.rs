//! Who a node's peers are, and where.

use std::str::FromStr;

use anyhow::Context;
use verisoo::Vkey;

use crate::client::BaseUrl;

/// A peer: where it is, and which key it must sign with.
#[derive(Clone, Debug)]
pub struct PeerAddress {
    /// Where it is.
    pub url: BaseUrl,
    /// Its key.
    pub vkey: Vkey,
}

impl FromStr for PeerAddress {
    type Err = anyhow::Error;

    /// `URL=VKEY`. The vkey ends in base64, which may end in '='; the URL may hold one in a path, but needs
    /// none.
    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (url, vkey) = text.split_once('=').context("URL=VKEY")?;
        Ok(Self { url: url.parse()?, vkey: Vkey::parse(vkey)? })
    }
}

/// What is known of a peer while the node runs.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The name in its key.
    pub name: String,
    /// Where it is.
    pub url: BaseUrl,
    /// Why the last request brought no answer; `None` where it did.
    pub last_error: Option<String>,
}

impl From<PeerAddress> for Peer {
    fn from(address: PeerAddress) -> Self {
        Self { name: address.vkey.name().to_string(), url: address.url, last_error: None }
    }
}

//! Attestations: DSSE-signed statements as records.

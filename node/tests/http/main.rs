//! A node and its command line, held against what they promise by a plain HTTP client.

mod a_killed_writer_takes_its_log_back;
mod a_request_has_limits;
mod answers_are_handed_over_in_order;
mod asking;
mod bad_requests_are_told_why;
mod keys_are_written_once;
mod peers_speak_the_wire_format;
mod people_read_json;
mod process;
mod running;
mod servers_are_read_within_limits;
#[cfg(feature = "tls")]
mod tls_is_checked;
mod what_is_false_is_found;

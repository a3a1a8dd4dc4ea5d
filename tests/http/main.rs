//! The tokio driver and its command line, held against what they promise by a plain HTTP client.

// The driver is used as a user would: copied. Not every test needs all of it.
#[allow(dead_code)]
#[path = "../../examples/tokio/driver/mod.rs"]
mod driver;

mod a_killed_writer_takes_its_log_back;
mod a_request_has_limits;
mod answers_are_handed_over_in_order;
mod bad_requests_are_told_why;
mod common;
mod keys_are_written_once;
mod peers_speak_the_wire_format;
mod people_read_json;
mod process;
mod what_is_false_is_found;

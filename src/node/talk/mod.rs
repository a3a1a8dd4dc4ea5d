//! The conversations, a file each: what is asked, how it is answered, and what is made of the answer.

mod fork;
mod key;
mod proof;
mod push;
mod records;
mod status;

//! The conversations, a file each: what is asked, how it is answered, and what is made of the answer.
//!
//! An answer is judged alone, by the signed head that it carries and by nothing that was asked before; its judgement is
//! returned as an [`Ending`](super::ending::Ending). When to ask is for `poll`, `due` and `feed` to say.

mod fork;
mod key;
mod proof;
mod push;
mod records;
mod status;

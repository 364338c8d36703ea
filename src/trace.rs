//! In: one request as the machine contract writes it, and the gates of one config. Out: what the real program would do
//! with exactly that packet, request, lookup or fetch, and the way it takes.
//!
//! There is no second implementation behind a trace: the request becomes a `Question` and the one evaluator answers.
//! A field that the request does not give is asked for every value; where the values differ, the answer is undecided
//! and names the field.
//!
//! Invariants: `allowed` and `denied` hold for every value of every field that is missing; an unknown of the file never
//! turns into either.

mod answer;
mod question;
mod request;
mod words;

pub use answer::{Answer, AnswerReason, AnswerStep, Certainty, FinalAddresses, answer};
pub use question::{question, questions};
pub use request::{
    FetchRequest, Hook, LookupRequest, PacketRequest, ProxyRequest, Request, TraceError,
};
pub use words::in_words;

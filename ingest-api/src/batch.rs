//! A batch: what is asked for ([`request`]), sorted out ([`sorted`]), and what is answered ([`answer`]).

pub mod answer;
pub mod request;
pub mod sorted;

//! The contract on a CQL server, and what is CQL's own. All of it needs the server, so all of it is under `real`.

mod real;

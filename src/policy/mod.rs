//! Floor 3: the verbs. Every keyword, sample, action and algorithm is a row of a table here; `registry` lists
//! the tables. Rows of plain settings (`kw`) fill a `draft`, and ask the `host` about the machine.

pub mod draft;
pub mod host;
pub mod kw;
pub mod lb;
pub mod log;
pub mod queue;
pub mod registry;

//! Floor 2: the nouns. `Config` is what was written (frozen), `State` is what lives; both are data
//! and accessors only. The verbs stand above, in `policy` and `engine`.

pub mod cause;
pub mod config;
pub mod conn_error;
pub mod format;
pub mod global;
pub mod ids;
pub mod listener;
pub mod logging;
pub mod proxy;
pub mod server;
pub mod state;
pub mod txn;

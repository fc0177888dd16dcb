//! Statistics: one row per column of `show stat` and per field of `show info`, and the forms they are printed in.
//!
//! Every reader (CSV, typed, JSON now; the stats page and Prometheus later) walks the same rows. Source:
//! management manual, "Statistics and monitoring".

pub mod column;
pub mod csv;
pub mod dump;
pub mod field;
mod getters;
pub mod info;
pub mod json;
pub mod rows;
pub mod typed;
pub mod views;

#[cfg(test)]
mod tests;

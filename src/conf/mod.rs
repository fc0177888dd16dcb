//! Floor 1: configuration text without meaning: words, blocks, spans, diagnostics, rows.

pub mod addr;
pub mod ast;
pub mod blocks;
pub mod cond;
pub mod cook;
pub mod cursor;
pub mod diag;
pub mod env;
pub mod fmt;
pub mod lex;
pub mod reader;
pub mod render;
pub mod row;
pub mod source;
pub mod units;

//! The environment that a configuration sees: a value, never the process's own.
//!
//! The caller fills it from the process; `setenv`, `presetenv`, `unsetenv` and `resetenv` change it for the lines
//! below them; whoever starts children or answers `show env` reads it. Sources: manual chapters 2.3 and 3.1.

use std::collections::BTreeMap;

use thiserror::Error;

/// Most bytes that names and values may take together: variables can be doubled from line to line.
pub const MAX_ENV_BYTES: usize = 16 << 20;

/// The environment has no room for another value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("environment is full (limit {MAX_ENV_BYTES} bytes)")]
pub struct EnvFull;

/// Names and values, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Env {
    values: BTreeMap<Box<[u8]>, Box<[u8]>>,
    used_bytes: usize,
}

impl Env {
    /// Without any variable.
    pub fn new() -> Self {
        Self::default()
    }

    /// Value of a variable.
    pub fn value(&self, name: &[u8]) -> Option<&[u8]> {
        self.values.get(name).map(|value| &**value)
    }

    /// Sets a variable, whatever it was before (`setenv`).
    pub fn set(&mut self, name: &[u8], value: &[u8]) -> Result<(), EnvFull> {
        let freed = self.values.get(name).map_or(0, |old| name.len() + old.len());
        let used_bytes = self.used_bytes - freed + name.len() + value.len();
        if used_bytes > MAX_ENV_BYTES {
            return Err(EnvFull);
        }
        self.values.insert(name.into(), value.into());
        self.used_bytes = used_bytes;
        Ok(())
    }

    /// Sets a variable that does not exist yet (`presetenv`).
    pub fn preset(&mut self, name: &[u8], value: &[u8]) -> Result<(), EnvFull> {
        if self.values.contains_key(name) {
            Ok(())
        } else {
            self.set(name, value)
        }
    }

    /// Removes a variable (`unsetenv`).
    pub fn unset(&mut self, name: &[u8]) {
        if let Some(value) = self.values.remove(name) {
            self.used_bytes -= name.len() + value.len();
        }
    }

    /// Removes all variables but those for which `keep` holds (`resetenv`).
    pub fn retain(&mut self, mut keep: impl FnMut(&[u8]) -> bool) {
        self.values.retain(|name, _| keep(name));
        self.used_bytes = self
            .values
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
    }

    /// Names and values in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.values.iter().map(|(name, value)| (&**name, &**value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlay() {
        let mut env = Env::new();
        assert_eq!(env.set(b"A", b"1"), Ok(()));
        assert_eq!(env.preset(b"A", b"2"), Ok(()));
        assert_eq!(env.preset(b"B", b""), Ok(()));
        assert_eq!(
            (env.value(b"A"), env.value(b"B"), env.value(b"C")),
            (Some(&b"1"[..]), Some(&b""[..]), None)
        );
        env.unset(b"A");
        assert_eq!(env.value(b"A"), None);
        env.set(b"X", b"longer").expect("room");
        env.retain(|name| name == b"X");
        assert_eq!(env.iter().count(), 1);
        assert_eq!(env.used_bytes, 7);
    }

    #[test]
    fn bounded() {
        let mut env = Env::new();
        let half = vec![b'x'; MAX_ENV_BYTES / 2];
        assert_eq!(env.set(b"A", &half), Ok(()));
        assert_eq!(env.set(b"B", &half), Err(EnvFull));
        assert_eq!(env.set(b"A", &half), Ok(()));
        env.unset(b"A");
        assert_eq!(env.used_bytes, 0);
        assert_eq!(env.set(b"B", &half), Ok(()));
    }
}

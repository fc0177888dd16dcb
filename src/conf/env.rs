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

/// The number of a variable, and its value.
type Numbered = (u64, Box<[u8]>);

/// Names and values. A variable keeps its place among the others when its value changes, as in a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Env {
    /// By name, with the number that the variable got when it appeared.
    values: BTreeMap<Box<[u8]>, Numbered>,
    appeared: u64,
    used_bytes: usize,
}

impl Env {
    /// Without any variable.
    pub fn new() -> Self {
        Self::default()
    }

    /// With those variables; what has no room is left out, as a system with less would do.
    pub fn of(variables: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>) -> Self {
        let mut env = Self::new();
        for (name, value) in variables {
            if env.set(&name, &value).is_err() {
                break;
            }
        }
        env
    }

    /// Value of a variable.
    pub fn value(&self, name: &[u8]) -> Option<&[u8]> {
        self.values.get(name).map(|(_, value)| &**value)
    }

    /// Sets a variable, whatever it was before (`setenv`).
    pub fn set(&mut self, name: &[u8], value: &[u8]) -> Result<(), EnvFull> {
        let old = self.values.get(name);
        let freed = old.map_or(0, |(_, value)| name.len() + value.len());
        let used_bytes = self.used_bytes - freed + name.len() + value.len();
        if used_bytes > MAX_ENV_BYTES {
            return Err(EnvFull);
        }
        let number = old.map_or(self.appeared, |(number, _)| *number);
        self.appeared = self.appeared.max(number + 1);
        self.values.insert(name.into(), (number, value.into()));
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
        if let Some((_, value)) = self.values.remove(name) {
            self.used_bytes -= name.len() + value.len();
        }
    }

    /// Removes all variables but those for which `keep` holds (`resetenv`).
    pub fn retain(&mut self, mut keep: impl FnMut(&[u8]) -> bool) {
        self.values.retain(|name, _| keep(name));
        self.used_bytes = self
            .values
            .iter()
            .map(|(name, (_, value))| name.len() + value.len())
            .sum();
    }

    /// The names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.values.keys().map(|name| &**name)
    }

    /// Names and values in the order in which they appeared.
    pub fn in_order(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut all: Vec<_> = self.values.iter().collect();
        all.sort_by_key(|(_, (number, _))| *number);
        let owned = all
            .into_iter()
            .map(|(name, (_, value))| (name.to_vec(), value.to_vec()));
        owned.collect()
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
        assert_eq!(env.in_order().len(), 1);
        assert_eq!(env.used_bytes, 7);
    }

    #[test]
    fn a_new_value_keeps_the_place() {
        let mut env = Env::new();
        for (name, value) in [(b"B", b"1"), (b"A", b"2"), (b"C", b"3"), (b"B", b"4")] {
            env.set(name, value).expect("room");
        }
        env.unset(b"A");
        env.set(b"A", b"5").expect("room");
        let text: Vec<u8> = env
            .in_order()
            .into_iter()
            .flat_map(|(name, value)| [name, value].concat())
            .collect();
        assert_eq!(text, b"B4C3A5");
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

//! Words of a command line: `--name value` and `--name`.

use std::str::FromStr;

/// The words that are not used yet.
pub(crate) struct Args(Vec<String>);

impl Args {
    /// All words after the name of the command.
    pub(crate) fn new(words: Vec<String>) -> Self {
        Self(words)
    }

    /// Whether the flag is there.
    pub(crate) fn flag(&mut self, name: &str) -> bool {
        let found = self.0.iter().position(|word| word == name);
        found.map(|at| self.0.remove(at)).is_some()
    }

    /// Every value of an option.
    pub(crate) fn all<T: FromStr>(&mut self, name: &str) -> Result<Vec<T>, String> {
        let mut values = Vec::new();
        while let Some(at) = self.0.iter().position(|word| word == name) {
            if at + 1 >= self.0.len() {
                return Err(format!("{name} needs a value"));
            }
            let value = self.0.remove(at + 1);
            self.0.remove(at);
            values.push(value.parse().map_err(|_| format!("{name} cannot be '{value}'"))?);
        }
        Ok(values)
    }

    /// The last value of an option.
    pub(crate) fn one<T: FromStr>(&mut self, name: &str) -> Result<Option<T>, String> {
        Ok(self.all(name)?.pop())
    }

    /// The value of an option that must be there.
    pub(crate) fn need<T: FromStr>(&mut self, name: &str) -> Result<T, String> {
        self.one(name)?.ok_or_else(|| format!("{name} is needed"))
    }

    /// Nothing may be left.
    pub(crate) fn end(self) -> Result<(), String> {
        match self.0.first() {
            Some(word) => Err(format!("unknown word '{word}'")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        let words = "--a 1 --b --a 2 --c x".split(' ').map(String::from).collect();
        let mut args = Args::new(words);
        assert_eq!(args.all::<u32>("--a"), Ok(vec![1, 2]));
        assert!(args.flag("--b") && !args.flag("--b"));
        assert!(args.need::<u32>("--d").is_err());
        assert!(args.one::<u32>("--c").is_err());
        assert_eq!(args.end(), Ok(()));
    }
}

//! The blocks that `.if`, `.elif`, `.else` and `.endif` make, and which of their lines are read.
//!
//! For `conf/reader.rs`, which evaluates the conditions when it is told that they matter: one inside of what is
//! not read, or after a branch that was, is never looked at. Source: manual chapter 2.4.

/// Deepest nesting of `.if`, the outermost being 1; HAProxy refuses the 100th.
pub const MAX_NESTED_BLOCKS: usize = 99;

/// State of one `.if`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Block {
    /// This branch is read.
    Taken,
    /// No branch was taken yet.
    Waiting,
    /// A branch was taken, or the whole block is within a branch that is not read.
    Over,
    /// In `.else`, and read or not.
    Else(bool),
}

/// Why a directive cannot stand where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misplaced {
    /// No `.if` is open.
    Lone,
    /// `.else` was before.
    AfterElse,
    /// More than [`MAX_NESTED_BLOCKS`] are open.
    TooDeep,
}

/// The open `.if` blocks.
#[derive(Clone, Debug, Default)]
pub struct Blocks {
    open: Vec<Block>,
}

impl Blocks {
    /// True when lines are to be read here.
    pub fn is_read(&self) -> bool {
        matches!(self.open.last(), None | Some(Block::Taken | Block::Else(true)))
    }

    /// True when `.if` was not closed.
    pub fn is_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// Enters `.if`; true when its condition has to be evaluated and passed to [`Self::decide`].
    pub fn enter(&mut self) -> Result<bool, Misplaced> {
        if self.open.len() >= MAX_NESTED_BLOCKS {
            return Err(Misplaced::TooDeep);
        }
        let read = self.is_read();
        self.open.push(if read { Block::Waiting } else { Block::Over });
        Ok(read)
    }

    /// Meets `.elif`; true when its condition has to be evaluated and passed to [`Self::decide`].
    pub fn elif(&mut self) -> Result<bool, Misplaced> {
        let block = self.open.last_mut().ok_or(Misplaced::Lone)?;
        match block {
            Block::Else(_) => Err(Misplaced::AfterElse),
            Block::Waiting => Ok(true),
            Block::Taken | Block::Over => {
                *block = Block::Over;
                Ok(false)
            }
        }
    }

    /// Value of the condition of the innermost block.
    pub fn decide(&mut self, value: bool) {
        if let Some(block) = self.open.last_mut() {
            *block = if value { Block::Taken } else { Block::Waiting };
        }
    }

    /// Meets `.else`.
    pub fn otherwise(&mut self) -> Result<(), Misplaced> {
        let block = self.open.last_mut().ok_or(Misplaced::Lone)?;
        if matches!(block, Block::Else(_)) {
            return Err(Misplaced::AfterElse);
        }
        *block = Block::Else(*block == Block::Waiting);
        Ok(())
    }

    /// Leaves the block at `.endif`.
    pub fn leave(&mut self) -> Result<(), Misplaced> {
        self.open.pop().map(|_| ()).ok_or(Misplaced::Lone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks() {
        let mut blocks = Blocks::default();
        assert_eq!(
            (blocks.elif(), blocks.otherwise(), blocks.leave()),
            (Err(Misplaced::Lone), Err(Misplaced::Lone), Err(Misplaced::Lone))
        );
        assert_eq!(blocks.enter(), Ok(true));
        blocks.decide(false);
        assert!(!blocks.is_read() && blocks.is_open());
        // A block within what is not read never asks.
        assert_eq!(blocks.enter(), Ok(false));
        assert_eq!(blocks.elif(), Ok(false));
        assert_eq!(blocks.otherwise(), Ok(()));
        assert!(!blocks.is_read());
        assert_eq!(blocks.leave(), Ok(()));
        assert_eq!(blocks.elif(), Ok(true));
        blocks.decide(true);
        assert!(blocks.is_read());
        assert_eq!(blocks.elif(), Ok(false));
        assert_eq!(blocks.otherwise(), Ok(()));
        assert!(!blocks.is_read());
        assert_eq!(
            (blocks.elif(), blocks.otherwise()),
            (Err(Misplaced::AfterElse), Err(Misplaced::AfterElse))
        );
        assert_eq!(blocks.leave(), Ok(()));
        assert!(!blocks.is_open() && blocks.is_read());
        for _ in 0..MAX_NESTED_BLOCKS {
            assert!(blocks.enter().is_ok());
        }
        assert_eq!(blocks.enter(), Err(Misplaced::TooDeep));
    }
}

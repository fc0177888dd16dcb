//! Doubly linked lists over indices: idle connections in LRU order, queues.
//!
//! A [`Lists`] holds many lists whose members are indices (of slots). An index is in at most one
//! list of it at a time, knows which, and is put in, moved and taken out in O(1) wherever it stands. Links lie
//! in one vector beside the objects, so members need no field for them and a list needs no allocation.

/// No index.
const NIL: u32 = u32::MAX;

/// Names a list of a [`Lists`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ListId(u32);

#[derive(Clone, Copy)]
struct Node {
    prev: u32,
    next: u32,
    /// The list that the index is in, `NIL` for none.
    list: u32,
}

const UNLINKED: Node = Node {
    prev: NIL,
    next: NIL,
    list: NIL,
};

#[derive(Clone, Copy)]
struct Ends {
    head: u32,
    tail: u32,
    len: u32,
}

const NO_ENDS: Ends = Ends {
    head: NIL,
    tail: NIL,
    len: 0,
};

/// A family of lists that share one set of members.
#[derive(Default)]
pub struct Lists {
    nodes: Vec<Node>,
    lists: Vec<Ends>,
}

impl Lists {
    /// No lists.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            nodes: Vec::new(),
            lists: Vec::new(),
        }
    }

    /// Makes an empty list.
    pub fn add_list(&mut self) -> ListId {
        self.lists.push(NO_ENDS);
        ListId(self.lists.len() as u32 - 1)
    }

    /// Members of a list.
    #[must_use]
    pub fn len(&self, list: ListId) -> usize {
        self.lists
            .get(list.0 as usize)
            .map_or(0, |ends| ends.len as usize)
    }

    /// Whether a list has no member.
    #[must_use]
    pub fn is_empty(&self, list: ListId) -> bool {
        self.len(list) == 0
    }

    /// The first member.
    #[must_use]
    pub fn front(&self, list: ListId) -> Option<u32> {
        self.lists
            .get(list.0 as usize)
            .map(|ends| ends.head)
            .filter(|&index| index != NIL)
    }

    /// The last member.
    #[must_use]
    pub fn back(&self, list: ListId) -> Option<u32> {
        self.lists
            .get(list.0 as usize)
            .map(|ends| ends.tail)
            .filter(|&index| index != NIL)
    }

    /// The member behind `index` in its list.
    #[must_use]
    pub fn next(&self, index: u32) -> Option<u32> {
        self.nodes
            .get(index as usize)
            .map(|node| node.next)
            .filter(|&next| next != NIL)
    }

    /// The member before `index` in its list.
    #[must_use]
    pub fn prev(&self, index: u32) -> Option<u32> {
        self.nodes
            .get(index as usize)
            .map(|node| node.prev)
            .filter(|&prev| prev != NIL)
    }

    /// The members of a list, first to last.
    pub fn iter(&self, list: ListId) -> impl Iterator<Item = u32> {
        std::iter::successors(self.front(list), |&index| self.next(index))
    }

    /// Puts an index at the end of a list, out of the one where it was.
    pub fn push_back(&mut self, list: ListId, index: u32) {
        if let Some(tail) = self.enter(list, index).map(|ends| ends.tail) {
            self.link(list, tail, index, NIL);
        }
    }

    /// Puts an index at the front of a list, out of the one where it was.
    pub fn push_front(&mut self, list: ListId, index: u32) {
        if let Some(head) = self.enter(list, index).map(|ends| ends.head) {
            self.link(list, NIL, index, head);
        }
    }

    /// Takes an index out of its list; false when it was in none.
    pub fn unlink(&mut self, index: u32) -> bool {
        let Some(&node) = self.nodes.get(index as usize).filter(|node| node.list != NIL) else {
            return false;
        };
        if let Some(before) = self.nodes.get_mut(node.prev as usize) {
            before.next = node.next;
        }
        if let Some(after) = self.nodes.get_mut(node.next as usize) {
            after.prev = node.prev;
        }
        if let Some(ends) = self.lists.get_mut(node.list as usize) {
            if node.prev == NIL {
                ends.head = node.next;
            }
            if node.next == NIL {
                ends.tail = node.prev;
            }
            ends.len -= 1;
        }
        if let Some(node) = self.nodes.get_mut(index as usize) {
            *node = UNLINKED;
        }
        true
    }

    /// Makes `index` ready for entering `list`: out of any list, with a node. The ends of the list as they
    /// are then; `None` if there is no such list.
    fn enter(&mut self, list: ListId, index: u32) -> Option<Ends> {
        debug_assert!(index != NIL && (list.0 as usize) < self.lists.len());
        if index == NIL || list.0 as usize >= self.lists.len() {
            return None;
        }
        self.unlink(index);
        if index as usize >= self.nodes.len() {
            self.nodes.resize(index as usize + 1, UNLINKED);
        }
        self.lists.get(list.0 as usize).copied()
    }

    fn link(&mut self, list: ListId, prev: u32, index: u32, next: u32) {
        if let Some(node) = self.nodes.get_mut(index as usize) {
            *node = Node {
                prev,
                next,
                list: list.0,
            };
        }
        if let Some(before) = self.nodes.get_mut(prev as usize) {
            before.next = index;
        }
        if let Some(after) = self.nodes.get_mut(next as usize) {
            after.prev = index;
        }
        if let Some(ends) = self.lists.get_mut(list.0 as usize) {
            if prev == NIL {
                ends.head = index;
            }
            if next == NIL {
                ends.tail = index;
            }
            ends.len += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    proptest! {
        /// Three lists behave as three deques that never hold the same index twice.
        #[test]
        fn behave_as_deques(ops in prop::collection::vec((0..3u8, 0..3usize, 0..10u32), 0..200)) {
            let mut lists = Lists::new();
            let ids: Vec<ListId> = (0..3).map(|_| lists.add_list()).collect();
            let mut model: Vec<VecDeque<u32>> = vec![VecDeque::new(); 3];
            let forget = |model: &mut Vec<VecDeque<u32>>, index: u32| {
                model.iter_mut().for_each(|list| list.retain(|&i| i != index));
            };
            for (op, list, index) in ops {
                match op {
                    0 => {
                        lists.push_back(ids[list], index);
                        forget(&mut model, index);
                        model[list].push_back(index);
                    }
                    1 => {
                        lists.push_front(ids[list], index);
                        forget(&mut model, index);
                        model[list].push_front(index);
                    }
                    _ => {
                        let member = model.iter().any(|list| list.contains(&index));
                        prop_assert_eq!(lists.unlink(index), member);
                        forget(&mut model, index);
                    }
                }
                for (id, list) in ids.iter().zip(&model) {
                    prop_assert!(lists.iter(*id).eq(list.iter().copied()));
                    let backwards = std::iter::successors(lists.back(*id), |&i| lists.prev(i));
                    prop_assert!(backwards.eq(list.iter().rev().copied()));
                    prop_assert_eq!(lists.front(*id), list.front().copied());
                    prop_assert_eq!(lists.len(*id), list.len());
                    prop_assert_eq!(lists.is_empty(*id), list.is_empty());
                }
            }
        }
    }
}

//! Work on many things side by side: cases and scripts wait more than they compute.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Gives each of the items to one of `workers` threads, in order, until all are done or `work` gives false: what is
/// begun then is still finished. `start` makes what a worker keeps to itself, from its number.
pub fn each<T: Sync, S>(
    items: &[T],
    workers: usize,
    start: impl Fn(usize) -> S + Sync,
    work: impl Fn(&mut S, usize, &T) -> bool + Sync,
) {
    let (next, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for worker in 0..workers.min(items.len()) {
            let (next, over, start, work) = (&next, &over, &start, &work);
            scope.spawn(move || {
                let mut own = start(worker);
                while !over.load(Ordering::Relaxed) {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(index) else { return };
                    if !work(&mut own, index, item) {
                        over.store(true, Ordering::Relaxed);
                    }
                }
            });
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn every_item_once_until_it_is_enough() {
        let seen: Mutex<Vec<usize>> = Mutex::default();
        let note = |_: &mut usize, index: usize, item: &u32| {
            assert_eq!(index as u32, *item);
            seen.lock().expect("no worker panicked").push(index);
            *item != 7
        };
        let items: Vec<u32> = (0..6).collect();
        each(&items, 3, |worker| worker, note);
        let mut all = std::mem::take(&mut *seen.lock().expect("no worker panicked"));
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3, 4, 5]);
        let items: Vec<u32> = (0..100).collect();
        each(&items, 1, |worker| worker, note);
        assert_eq!(seen.lock().expect("no worker panicked").len(), 8);
    }
}

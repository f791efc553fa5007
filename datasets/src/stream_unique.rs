//! Which hashes occur more than once, found without sorting them all.

use std::mem;

use rayon::prelude::*;

/// Hashes are checked in parts by their upper bits, each small enough for a processor's cache.
const PART_BITS: u32 = 8;
const PARTS: usize = 1 << PART_BITS;

/// A list of hashes, put in order of their parts.
struct Parted {
    hashes: Vec<u64>,
    /// Where each part begins, and the end of the last.
    begins: Vec<usize>,
}

/// Every hash beyond its first occurrence, sorted.
pub(crate) fn repeated(lists: Vec<Vec<u64>>) -> Vec<u64> {
    let lists: Vec<Parted> = lists.into_par_iter().map(Parted::new).collect();
    let parts: Vec<Vec<u64>> = (0..PARTS)
        .into_par_iter()
        .map(|part| repeated_in(&lists, part))
        .collect();
    let mut all = parts.concat();
    all.sort_unstable();
    all
}

impl Parted {
    #[expect(
        clippy::needless_pass_by_value,
        reason = "frees the list that it replaces"
    )]
    fn new(list: Vec<u64>) -> Self {
        let mut begins = vec![0; PARTS + 1];
        for hash in &list {
            begins[part_of(*hash) + 1] += 1;
        }
        for part in 0..PARTS {
            begins[part + 1] += begins[part];
        }
        let mut next = begins.clone();
        let mut hashes = vec![0; list.len()];
        for hash in &list {
            let at = &mut next[part_of(*hash)];
            hashes[*at] = *hash;
            *at += 1;
        }
        Self { hashes, begins }
    }

    fn part(&self, part: usize) -> &[u64] {
        &self.hashes[self.begins[part]..self.begins[part + 1]]
    }
}

/// The repeated hashes of a part: an open-addressed set with 0 for an empty slot.
fn repeated_in(lists: &[Parted], part: usize) -> Vec<u64> {
    let count: usize = lists.iter().map(|list| list.part(part).len()).sum();
    let slots = (2 * count).next_power_of_two();
    let mut set = vec![0_u64; slots];
    let mut has_zero = false;
    let mut repeated = Vec::new();
    for &hash in lists.iter().flat_map(|list| list.part(part)) {
        if hash == 0 {
            if mem::replace(&mut has_zero, true) {
                repeated.push(hash);
            }
            continue;
        }
        let mut slot = slot_of(hash, slots);
        while set[slot] != 0 && set[slot] != hash {
            slot = (slot + 1) & (slots - 1);
        }
        if set[slot] == hash {
            repeated.push(hash);
        }
        set[slot] = hash;
    }
    repeated
}

const fn part_of(hash: u64) -> usize {
    (hash >> (64 - PART_BITS)) as usize
}

#[expect(clippy::cast_possible_truncation, reason = "a slot takes the low bits")]
const fn slot_of(hash: u64, slots: usize) -> usize {
    hash as usize & (slots - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As sorting says, whatever the lists; 0 and its neighbours included.
    #[test]
    fn what_sorting_finds() {
        let mut state = 7_u64;
        let mut next = || {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            state ^ (state >> 29)
        };
        let mut lists: Vec<Vec<u64>> = [0, 1, 700, 40_000]
            .map(|n| (0..n).map(|_| next()).collect())
            .to_vec();
        assert!(repeated(lists.clone()).is_empty());
        let (some, others) = (lists[3][..900].to_vec(), lists[2][..3].to_vec());
        lists.push([some, others.clone(), others, vec![0, 1, 0, u64::MAX, 0]].concat());
        let mut all = lists.concat();
        all.sort_unstable();
        let pairs = all.windows(2).filter(|pair| pair[0] == pair[1]);
        let expect: Vec<u64> = pairs.map(|pair| pair[0]).collect();
        assert_eq!(expect.len(), 900 + 2 * 3 + 2);
        assert_eq!(repeated(lists), expect);
    }
}

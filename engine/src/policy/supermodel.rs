//! Supermodels: sets of arms that are asked one after the other, of which the best answer counts.

/// Most arms of which every set is weighed; beyond it, sets grow arm by arm.
pub(super) const ARMS_EXACT_MAX: usize = 12;
/// Values closer than this are equal: rounding must not make a useless call look useful.
const TIE: f64 = 1e-12;

/// An arm that may still be asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Candidate {
    pub(super) arm: usize,
    /// Quality expected before the call, in [0, 1].
    pub(super) quality: f64,
    /// Chance that the call reveals the truth, in [0, 1].
    pub(super) reliability: f64,
    /// Expected cost in US dollars.
    pub(super) cost: f64,
    /// The same in quality: λ·cost.
    pub(super) penalty: f64,
}

/// The best set of calls to make.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Plan<'a> {
    /// Its candidates, cheapest first; empty: make no call.
    set: &'a [Candidate],
    /// Expected quality of the best answer, calls made before included.
    pub(super) quality: f64,
}

impl<'a> Plan<'a> {
    /// Its arms, cheapest first.
    pub(super) fn arms(&self) -> impl Iterator<Item = usize> + use<'a> {
        self.set.iter().map(|candidate| candidate.arm)
    }

    /// The arm to ask; `None`: make no call.
    pub(super) fn first(&self) -> Option<usize> {
        self.arms().next()
    }
}

/// `E[max(best, q_i …)]` over candidates in ascending order of quality, exactly.
///
/// Before its call an arm's quality after it is 1 with probability ρp, 0 with ρ(1 − p), and p
/// where the signal reveals nothing: mean p, variance ρp(1 − p). Arms are independent, so that
/// `E[max] = b + ∫_b¹ (1 − Π F_i(t)) dt`, whose F_i are steps at p_i.
fn expected_max(best: f64, ascending: &[Candidate]) -> f64 {
    // F below an arm's own p, and from there on.
    let below = |c: &Candidate| c.reliability * (1.0 - c.quality);
    let above = |c: &Candidate| 1.0 - c.reliability * c.quality;
    // Product over all arms whose p lies above t; divided out would be inexact at 0.
    let mut suffix: f64 = ascending.iter().map(below).product();
    let (mut prefix, mut from, mut expected) = (1.0, best, best);
    for (i, candidate) in ascending.iter().enumerate() {
        let to = candidate.quality.max(from);
        expected += (to - from) * (1.0 - prefix * suffix);
        from = to;
        prefix *= above(candidate);
        suffix = ascending[i + 1..].iter().map(below).product();
    }
    expected + (1.0 - from) * (1.0 - prefix)
}

/// Where the best set of candidates is searched; reused, it allocates nothing in steady state.
#[derive(Clone, Debug, Default)]
pub(crate) struct Search {
    candidates: Vec<Candidate>,
    /// Expected quality of the best answer there is; 0: none.
    known: f64,
    /// Value of the best set so far, and its cost in quality; `None`: no set yet.
    best: Option<(f64, f64)>,
    set: Vec<Candidate>,
    quality: f64,
    scratch: Vec<Candidate>,
    base: Vec<Candidate>,
}

impl Search {
    /// Replaces the arms that may still be asked: how many there are.
    pub(super) fn among(&mut self, candidates: impl Iterator<Item = Candidate>) -> usize {
        self.candidates.clear();
        self.candidates.extend(candidates);
        self.candidates.len()
    }

    /// The arms that may still be asked.
    pub(super) fn candidates(&self) -> &[Candidate] {
        &self.candidates
    }

    /// The set of candidates that maximises `E[max] − λΣc`, after answers of which the best is
    /// expected to be worth `best`; `None`: there is none yet, so at least one call is made.
    pub(super) fn best_plan(&mut self, best: Option<f64>, calls: usize) -> Plan<'_> {
        self.begin(best);
        let mut candidates = std::mem::take(&mut self.candidates);
        // No two are equal: the arm breaks ties.
        candidates.sort_unstable_by(|a, b| a.quality.total_cmp(&b.quality).then(a.arm.cmp(&b.arm)));
        if candidates.len() <= ARMS_EXACT_MAX {
            for set in 1_u32..1 << candidates.len() {
                if set.count_ones() as usize <= calls {
                    self.weigh(
                        candidates
                            .iter()
                            .enumerate()
                            .filter_map(|(i, candidate)| (set >> i & 1 == 1).then_some(*candidate)),
                    );
                }
            }
        } else {
            self.grow(&candidates, calls);
        }
        self.candidates = candidates;
        self.plan()
    }

    fn begin(&mut self, best: Option<f64>) {
        self.known = best.unwrap_or(0.0);
        self.best = best.map(|best| (best, 0.0));
        self.set.clear();
        self.quality = self.known;
    }

    /// Keeps the set if it is better, or as good and cheaper or smaller.
    fn weigh(&mut self, set: impl Iterator<Item = Candidate>) -> bool {
        self.scratch.clear();
        self.scratch.extend(set);
        let quality = expected_max(self.known, &self.scratch);
        let penalty: f64 = self.scratch.iter().map(|c| c.penalty).sum();
        let value = quality - penalty;
        let better = self.best.is_none_or(|(best, cost)| {
            let shorter = penalty <= cost && self.scratch.len() < self.set.len();
            value > best + TIE || (value >= best - TIE && (penalty < cost || shorter))
        });
        if better {
            self.best = Some((value, penalty));
            self.quality = quality;
            std::mem::swap(&mut self.set, &mut self.scratch);
        }
        better
    }

    /// Adds the most useful arm as long as one is useful.
    fn grow(&mut self, candidates: &[Candidate], calls: usize) {
        let mut base = std::mem::take(&mut self.base);
        for _ in 0..calls.min(candidates.len()) {
            base.clone_from(&self.set);
            let mut grown = false;
            for candidate in candidates {
                if base.iter().any(|c| c.arm == candidate.arm) {
                    continue;
                }
                let at = base.partition_point(|c| c.quality <= candidate.quality);
                let (low, high) = base.split_at(at);
                let set = low.iter().chain([candidate]).chain(high).copied();
                grown |= self.weigh(set);
            }
            if !grown {
                break;
            }
        }
        self.base = base;
    }

    fn plan(&mut self) -> Plan<'_> {
        self.set
            .sort_unstable_by(|a, b| a.cost.total_cmp(&b.cost).then(a.arm.cmp(&b.arm)));
        Plan {
            set: &self.set,
            quality: self.quality,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::unit_interval_of;
    use crate::units::Seed;

    fn candidate(arm: usize, quality: f64, reliability: f64, cost: f64) -> Candidate {
        Candidate {
            arm,
            quality,
            reliability,
            cost,
            penalty: cost,
        }
    }

    /// Arms and expected quality of the best plan.
    fn planned(best: Option<f64>, set: &[Candidate], calls: usize) -> (Vec<usize>, f64) {
        let mut search = Search::default();
        search.among(set.iter().copied());
        let plan = search.best_plan(best, calls);
        (plan.arms().collect(), plan.quality)
    }

    fn close(got: f64, expect: f64) {
        assert!((got - expect).abs() < 1e-12, "{got} {expect}");
    }

    #[test]
    fn expected_maxima_match_hand_computation() {
        // Revealed: 1 − 0.4·0.1. Nothing revealed: the larger mean.
        let two = |rho| [candidate(0, 0.6, rho, 0.0), candidate(1, 0.9, rho, 0.0)];
        close(expected_max(0.0, &two(1.0)), 0.96);
        close(expected_max(0.0, &two(0.0)), 0.9);
        // ρ = ½: values 0, p, 1 with 0.2, 0.5, 0.3 and 0.05, 0.5, 0.45.
        // P(max = 1) = 1 − 0.7·0.55 = 0.615; else 0.9 with 0.7·0.5; else 0.6 with 0.5·0.05; else 0.
        close(
            expected_max(0.0, &two(0.5)),
            0.615 + 0.9 * 0.35 + 0.6 * 0.025,
        );
        // An answer worth 0.7 is there: 1 with 0.615, 0.9 with 0.35, 0.7 with 0.035.
        close(
            expected_max(0.7, &two(0.5)),
            0.615 + 0.9 * 0.35 + 0.7 * 0.035,
        );
        close(expected_max(1.0, &two(0.5)), 1.0);
        close(expected_max(0.3, &[]), 0.3);
    }

    /// All 3^K values of K = 3 arms.
    #[test]
    fn expected_maxima_match_enumeration() {
        let draw = |i: usize, what: &str| unit_interval_of(&format!("{what} {i}"), Seed(5));
        for case in 0..200 {
            let mut set: Vec<_> = (0..3)
                .map(|arm| {
                    candidate(
                        arm,
                        draw(case * 3 + arm, "p"),
                        draw(case * 3 + arm, "rho"),
                        0.0,
                    )
                })
                .collect();
            set.sort_by(|a, b| a.quality.total_cmp(&b.quality));
            let best = draw(case, "best");
            let mut expect = 0.0;
            for outcome in 0..27_usize {
                let (mut chance, mut top) = (1.0, best);
                for (arm, c) in set.iter().enumerate() {
                    let (value, p) = match outcome / 3_usize.pow(u32::try_from(arm).unwrap()) % 3 {
                        0 => (0.0, c.reliability * (1.0 - c.quality)),
                        1 => (c.quality, 1.0 - c.reliability),
                        _ => (1.0, c.reliability * c.quality),
                    };
                    chance *= p;
                    top = f64::max(top, value);
                }
                expect += chance * top;
            }
            close(expected_max(best, &set), expect);
        }
    }

    #[test]
    fn plans_match_hand_computation() {
        let plan = |best, set: &[Candidate]| planned(best, set, set.len()).0;
        // {0}: 0.59; {1}: 0.60; {0, 1}: 0.96 − 0.31 = 0.65.
        let judged = [candidate(0, 0.6, 1.0, 0.01), candidate(1, 0.9, 1.0, 0.3)];
        assert_eq!(plan(None, &judged), [0, 1]);
        // After a bad answer of arm 0: 0.9 − 0.3 > 0. After a good one nothing is to be gained.
        assert_eq!(plan(Some(0.0), &judged[1..]), [1]);
        assert_eq!(plan(Some(1.0), &judged[1..]), [0_usize; 0]);
        // The same arms, signals worthless: only the better of 0.59 and 0.60 is asked.
        let blind = judged.map(|c| Candidate {
            reliability: 0.0,
            ..c
        });
        assert_eq!(plan(None, &blind), [1]);
        // Three arms: {0, 2} 1 − 0.5·0.1 − 0.11 = 0.84 beats {2} 0.8, {0} 0.49, {0, 1} 0.75 − 0.05
        // = 0.70, {1, 2} 0.95 − 0.14 = 0.81 and {0, 1, 2} 0.975 − 0.15 = 0.825.
        let three = [
            candidate(0, 0.5, 1.0, 0.01),
            candidate(1, 0.5, 1.0, 0.04),
            candidate(2, 0.9, 1.0, 0.1),
        ];
        assert_eq!(plan(None, &three), [0, 2]);
        assert_eq!(planned(None, &three, 1).0, [2]);
    }

    #[test]
    fn free_calls_that_tell_nothing_are_not_made() {
        let set = [candidate(0, 0.6, 0.0, 0.0), candidate(1, 0.9, 0.0, 0.0)];
        assert_eq!(planned(None, &set, 2).0, [1]);
        assert_eq!(planned(Some(0.9), &set, 2).0, [0_usize; 0]);
    }

    #[test]
    fn greedy_growth_is_close_to_exact_and_stops() {
        let draw = |i: usize, what: &str| unit_interval_of(&format!("{what} {i}"), Seed(6));
        let (mut exact_sum, mut greedy_sum) = (0.0, 0.0);
        for case in 0..50 {
            let set: Vec<_> = (0..8)
                .map(|arm| {
                    let i = case * 8 + arm;
                    candidate(arm, draw(i, "p"), draw(i, "rho"), 0.1 * draw(i, "c"))
                })
                .collect();
            let value = |(arms, quality): (Vec<usize>, f64)| {
                quality - arms.iter().map(|arm| set[*arm].penalty).sum::<f64>()
            };
            let exact = value(planned(None, &set, 8));
            let mut search = Search::default();
            search.begin(None);
            let mut ascending = set.clone();
            ascending.sort_by(|a, b| a.quality.total_cmp(&b.quality));
            search.grow(&ascending, 8);
            let plan = search.plan();
            let greedy = value((plan.arms().collect(), plan.quality));
            assert!(greedy <= exact + 1e-9);
            exact_sum += exact;
            greedy_sum += greedy;
        }
        assert!(greedy_sum > 0.99 * exact_sum, "{greedy_sum} {exact_sum}");
    }
}

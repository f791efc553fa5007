//! The field's metrics, each in the variant it names.

use crate::evaluation::{Metrics, SavingsAt};
use crate::hull::{Hull, Point};

/// β of RouterArena's score.
const ROUTER_ARENA_BETA: f64 = 0.1;
/// RouterArena's dearest and cheapest cost, USD per 1,000 queries.
const ROUTER_ARENA_COST: (f64, f64) = (200.0, 0.0044);
/// Shares of the best arm's quality at which savings are listed.
const RETAIN: [f64; 4] = [1.0, 0.99, 0.97, 0.95];

/// Two arms, for RouteLLM's metrics.
#[derive(Clone, Copy, Debug)]
pub struct TwoArms<'a> {
    /// Quality of the weaker arm per request, shape (n).
    pub weak: &'a [f64],
    /// Quality of the stronger arm per request, shape (n).
    pub strong: &'a [f64],
    /// What the policy orders requests by: the larger, the more the strong arm is worth, shape (n).
    pub score: &'a [f64],
}

/// Computes all metrics from the policy's sweep over λ on the evaluated rows.
///
/// `sweep` holds every point of the sweep, `here` the policy as judged, `best` the best single arm.
#[must_use]
pub fn metrics(sweep: &[Point], here: Point, best: Point, two: Option<TwoArms<'_>>) -> Metrics {
    let hull = Hull::of(sweep);
    let (low, high) = sweep
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), p| {
            (low.min(p.cost), high.max(p.cost))
        });
    let area = if low < high {
        hull.area(low, high)
    } else {
        0.0
    };
    let only = sweep.iter().map(|p| p.quality).fold(0.0, f64::max);
    let (aiq, aiq_code) = if low < high {
        (area / (high - low), area / high)
    } else {
        (only, only)
    };
    // Matching allows for nothing but float noise.
    let relative_cost = |quality: f64| {
        hull.cost_at(quality - 1e-12)
            .filter(|_| best.cost > 0.0)
            .map(|cost| cost / best.cost)
    };
    let matching = relative_cost(best.quality);
    let apgr_and_cpt = two.and_then(|two| route_llm(&two));
    Metrics {
        aiq,
        aiq_code,
        cost_save: matching.map(|c| 1.0 - c),
        perf_gain: if best.quality > 0.0 {
            only / best.quality - 1.0
        } else {
            0.0
        },
        qnc: matching,
        apgr: apgr_and_cpt.map(|m| m.0),
        cpt50: apgr_and_cpt.and_then(|m| m.1),
        cpt80: apgr_and_cpt.and_then(|m| m.2),
        router_arena: router_arena(here),
        savings_at: RETAIN
            .iter()
            .map(|&retain| SavingsAt {
                retain,
                savings: relative_cost(retain * best.quality).map(|c| 1.0 - c),
            })
            .collect(),
    }
}

/// RouterArena's S = (1 + β)·A·C/(β·A + C), C = (log₂ 200 − log₂ c)/(log₂ 200 − log₂ 0.0044), with
/// c in USD per 1,000 queries (RouterArena, arXiv:2510.00202); `None` when C leaves (0, 1].
fn router_arena(here: Point) -> Option<f64> {
    let (dear, cheap) = ROUTER_ARENA_COST;
    let scaled = (dear.log2() - (here.cost * 1000.0).log2()) / (dear.log2() - cheap.log2());
    (scaled > 0.0 && scaled <= 1.0).then(|| {
        (1.0 + ROUTER_ARENA_BETA) * here.quality * scaled
            / (ROUTER_ARENA_BETA * here.quality + scaled)
    })
}

/// APGR, CPT(50 %) and CPT(80 %) over the exact share of strong calls 0, 1/n, …, 1.
///
/// PGR(s) = (quality(s) − weak)/(strong − weak); APGR is its area over s, which equals
/// (AUC_r − AUC_weak)/(AUC_strong − AUC_weak). RouteLLM (Ong et al. 2024, arXiv:2406.18665,
/// §3), without its interpolation, which is wrong for curves that fall. `None` when the stronger
/// arm is not better on these rows.
#[expect(clippy::cast_precision_loss, reason = "row counts stay far below 2^53")]
fn route_llm(two: &TwoArms<'_>) -> Option<(f64, Option<f64>, Option<f64>)> {
    let n = two.score.len();
    let weak: f64 = two.weak.iter().sum();
    let gap = two.strong.iter().sum::<f64>() - weak;
    if n == 0 || gap <= 0.0 {
        return None;
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&a, &b| two.score[b].total_cmp(&two.score[a]).then(a.cmp(&b)));
    let mut recovered = vec![0.0];
    for (calls, &i) in order.iter().enumerate() {
        recovered.push(recovered[calls] + two.strong[i] - two.weak[i]);
    }
    let area: f64 = recovered
        .windows(2)
        .map(|w| f64::midpoint(w[0], w[1]))
        .sum();
    let least = |share: f64| {
        let calls = recovered.iter().position(|r| *r >= share * gap - 1e-9);
        calls.map(|calls| calls as f64 / n as f64)
    };
    Some((area / gap / n as f64, least(0.5), least(0.8)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(cost: f64, quality: f64) -> Point {
        Point { cost, quality }
    }

    fn close(got: Option<f64>, expect: f64) {
        assert!(
            got.is_some_and(|got| (got - expect).abs() < 1e-9),
            "{got:?} {expect}"
        );
    }

    #[test]
    fn aiq_names_both_variants() {
        let sweep = [point(1.0, 0.4), point(3.0, 0.8)];
        let m = metrics(&sweep, sweep[1], point(3.0, 0.8), None);
        assert!((m.aiq - 0.6).abs() < 1e-12);
        assert!((m.aiq_code - 0.4).abs() < 1e-12);
        close(m.qnc, 1.0);
        assert!(m.perf_gain.abs() < 1e-12);
    }

    #[test]
    fn savings_are_read_off_the_hull() {
        let sweep = [point(1.0, 0.5), point(5.0, 0.9), point(10.0, 0.91)];
        let m = metrics(&sweep, sweep[1], point(10.0, 0.9), None);
        close(m.cost_save, 0.5);
        assert!((m.perf_gain - (0.91 / 0.9 - 1.0)).abs() < 1e-12);
        close(m.savings_at[0].savings, 0.5);
        assert!(m.savings_at[3].savings > Some(0.5));
        let unreachable = metrics(&sweep, sweep[1], point(10.0, 0.99), None);
        assert_eq!(
            (unreachable.qnc, unreachable.savings_at[0].savings),
            (None, None)
        );
    }

    #[test]
    fn route_llm_on_a_case_by_hand() {
        // A perfect order finds the two of four requests where the strong arm is better first.
        let two = TwoArms {
            weak: &[0.0, 0.0, 1.0, 1.0],
            strong: &[1.0, 1.0, 1.0, 1.0],
            score: &[4.0, 3.0, 2.0, 1.0],
        };
        let (apgr, half, most) = route_llm(&two).expect("a gap");
        // PGR is 0, ½, 1, 1, 1 at shares 0, ¼, ½, ¾, 1: the trapezoids give ¾.
        assert!((apgr - 0.75).abs() < 1e-12);
        assert_eq!((half, most), (Some(0.25), Some(0.5)));
        assert_eq!(
            route_llm(&TwoArms {
                weak: &[1.0],
                strong: &[0.0],
                score: &[0.0]
            }),
            None
        );
    }

    #[test]
    fn router_arena_at_its_ends() {
        let cheapest = router_arena(point(0.0044 / 1000.0, 1.0)).expect("in range");
        assert!((cheapest - 1.0).abs() < 1e-12);
        assert_eq!(router_arena(point(0.3, 1.0)), None);
        assert_eq!(router_arena(point(0.0, 1.0)), None);
    }
}

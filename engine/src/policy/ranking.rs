//! From scores to probabilities: ties share, others get what exploration gives them.

use super::PolicyError;

/// All probability on the highest score; exact ties share evenly. Scores of −∞ take no part.
pub(crate) fn best(scores: &[f64], out: &mut [f64]) -> Result<(), PolicyError> {
    greedy(scores, 0.0, out)
}

/// ε spread evenly over all arms that may answer, the rest on the highest score; ties share.
pub(crate) fn greedy(scores: &[f64], epsilon: f64, out: &mut [f64]) -> Result<(), PolicyError> {
    let top = top(scores)?;
    let count = |keep: &dyn Fn(f64) -> bool| {
        crate::math::len(scores.iter().filter(|score| keep(**score)).count())
    };
    #[expect(clippy::float_cmp, reason = "a tie is an exactly equal score")]
    let wins = |score: f64| score == top;
    let (each, share) = (
        epsilon / count(&|score| score > f64::NEG_INFINITY),
        (1.0 - epsilon) / count(&wins),
    );
    for (p, score) in out.iter_mut().zip(scores) {
        *p = match *score {
            f64::NEG_INFINITY => 0.0,
            score if wins(score) => each + share,
            _ => each,
        };
    }
    Ok(())
}

/// Inverse-gap weighting: 1/(|S| + γ·gap) for arms below the best, the rest shared by the best.
pub(crate) fn inverse_gap(scores: &[f64], gamma: f64, out: &mut [f64]) -> Result<(), PolicyError> {
    let top = top(scores)?;
    let arms = scores.iter().filter(|score| **score > f64::NEG_INFINITY);
    let count = crate::math::len(arms.count());
    let (mut below, mut ties) = (0.0, 0.0);
    for (p, score) in out.iter_mut().zip(scores) {
        *p = 0.0;
        if *score >= top {
            ties += 1.0;
        } else if *score > f64::NEG_INFINITY {
            *p = 1.0 / (count + gamma * (top - score));
            below += *p;
        }
    }
    // At most (|S| − ties)/|S| went to arms below, so that this is positive.
    let share = (1.0 - below) / ties;
    for (p, score) in out.iter_mut().zip(scores) {
        if *score >= top {
            *p = share;
        }
    }
    Ok(())
}

/// The highest score; an error when no arm may answer.
fn top(scores: &[f64]) -> Result<f64, PolicyError> {
    let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if top > f64::NEG_INFINITY {
        Ok(top)
    } else {
        Err(PolicyError::NothingEligible)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: f64 = f64::NEG_INFINITY;

    #[expect(clippy::float_cmp, reason = "these shares are exact in binary")]
    #[test]
    fn shares_are_exact() {
        let mut out = [9.0; 4];
        best(&[1.0, 2.0, 2.0, NONE], &mut out).expect("arms");
        assert_eq!(out, [0.0, 0.5, 0.5, 0.0]);
        best(&[f64::INFINITY, 2.0, f64::INFINITY, NONE], &mut out).expect("arms");
        assert_eq!(out, [0.5, 0.0, 0.5, 0.0]);
        greedy(&[1.0, 2.0, 2.0, NONE], 0.75, &mut out).expect("arms");
        assert_eq!(out, [0.25, 0.375, 0.375, 0.0]);
        inverse_gap(&[0.5, 1.0, NONE, 1.0], 2.0, &mut out).expect("arms");
        assert_eq!(out, [0.25, 0.375, 0.0, 0.375]);
        assert_eq!(
            best(&[NONE], &mut out[..1]),
            Err(PolicyError::NothingEligible)
        );
        assert_eq!(best(&[], &mut []), Err(PolicyError::NothingEligible));
    }
}

//! Minimising a smooth convex function of many variables.

use std::collections::VecDeque;

use ndarray::{Array1, ArrayView1};

/// Steps remembered.
const MEMORY: usize = 10;

/// Most iterations.
const ITERATIONS_MAX: usize = 500;

/// The largest entry of the gradient at which to stop.
const GRADIENT_MAX: f64 = 1e-8;

/// Value and gradient at a point.
pub(super) type Objective<'a> = &'a mut dyn FnMut(ArrayView1<'_, f64>) -> (f64, Array1<f64>);

/// A step s and the change of the gradient y along it.
struct Pair {
    s: Array1<f64>,
    y: Array1<f64>,
    rho: f64,
}

/// L-BFGS with a backtracking line search: Nocedal & Wright (2006), algorithms 7.4, 7.5 and 3.1.
///
/// `objective` gives value and gradient. Stops when the gradient is flat, no step descends, or
/// after `ITERATIONS_MAX`; sequential, so that it always ends at the same bits.
pub(super) fn minimise(objective: Objective<'_>, start: Array1<f64>) -> Array1<f64> {
    let mut x = start;
    let (mut value, mut gradient) = objective(x.view());
    let mut memory: VecDeque<Pair> = VecDeque::with_capacity(MEMORY);
    for _ in 0..ITERATIONS_MAX {
        if gradient.iter().all(|g| g.abs() <= GRADIENT_MAX) {
            break;
        }
        let mut direction = descent(&gradient, &memory);
        let mut slope = direction.dot(&gradient);
        if slope >= 0.0 {
            memory.clear();
            direction = -&gradient;
            slope = -gradient.dot(&gradient);
        }
        let Some((next, next_value, next_gradient)) =
            line_search(objective, &x, value, &direction, slope)
        else {
            break;
        };
        let s = &next - &x;
        let y = &next_gradient - &gradient;
        let curvature = s.dot(&y);
        if curvature > 1e-16 * y.dot(&y) {
            if memory.len() == MEMORY {
                memory.pop_front();
            }
            memory.push_back(Pair {
                s,
                y,
                rho: 1.0 / curvature,
            });
        }
        (x, value, gradient) = (next, next_value, next_gradient);
    }
    x
}

/// −H·g by the two-loop recursion.
fn descent(gradient: &Array1<f64>, memory: &VecDeque<Pair>) -> Array1<f64> {
    let mut q = gradient.clone();
    let mut alphas = Vec::with_capacity(memory.len());
    for pair in memory.iter().rev() {
        let alpha = pair.rho * pair.s.dot(&q);
        q.scaled_add(-alpha, &pair.y);
        alphas.push(alpha);
    }
    if let Some(last) = memory.back() {
        q *= 1.0 / (last.rho * last.y.dot(&last.y));
    }
    for (pair, alpha) in memory.iter().zip(alphas.into_iter().rev()) {
        let beta = pair.rho * pair.y.dot(&q);
        q.scaled_add(alpha - beta, &pair.s);
    }
    -q
}

/// The first of the steps 1, ½, ¼ … that descends enough (Armijo).
fn line_search(
    objective: Objective<'_>,
    x: &Array1<f64>,
    value: f64,
    direction: &Array1<f64>,
    slope: f64,
) -> Option<(Array1<f64>, f64, Array1<f64>)> {
    let mut step = 1.0;
    for _ in 0..40 {
        let next = x + &(direction * step);
        let (next_value, gradient) = objective(next.view());
        if next_value <= value + 1e-4 * step * slope {
            return Some((next, next_value, gradient));
        }
        step *= 0.5;
    }
    None
}

//! The non-decreasing concave hull of cost–quality points: what random mixing can reach.

/// A cost–quality point: mean USD per request, mean quality per request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Mean cost in US dollars per request.
    pub cost: f64,
    /// Mean quality in [0, 1].
    pub quality: f64,
}

/// Upper hull of a set of points; every point on it is a random mix of at most two of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Hull {
    corners: Vec<(usize, Point)>,
}

impl Hull {
    /// The hull of `points`, from the cheapest to the point of highest quality.
    ///
    /// Andrew's monotone chain (1979), doi:10.1016/0020-0190(79)90072-3, upper half.
    #[must_use]
    pub fn of(points: &[Point]) -> Self {
        let mut order: Vec<usize> = (0..points.len()).collect();
        order.sort_by(|&a, &b| {
            let (a, b) = (points[a], points[b]);
            a.cost
                .total_cmp(&b.cost)
                .then(b.quality.total_cmp(&a.quality))
        });
        let mut corners: Vec<(usize, Point)> = Vec::new();
        for index in order {
            let point = points[index];
            // Dearer without being better is never on the hull.
            if corners
                .last()
                .is_some_and(|(_, last)| point.quality <= last.quality)
            {
                continue;
            }
            while let [.., (_, a), (_, b)] = corners[..] {
                let cross = (b.cost - a.cost) * (point.quality - a.quality)
                    - (b.quality - a.quality) * (point.cost - a.cost);
                if cross < 0.0 {
                    break;
                }
                corners.pop();
            }
            corners.push((index, point));
        }
        Self { corners }
    }

    /// The corners by rising cost: index into the points given, and the point.
    #[must_use]
    pub fn corners(&self) -> &[(usize, Point)] {
        &self.corners
    }

    /// The best quality that `cost` buys; `None` below the cheapest point or without points.
    #[must_use]
    pub fn quality_at(&self, cost: f64) -> Option<f64> {
        self.mix_at_cost(cost).map(|(low, high, share)| {
            let (a, b) = (self.corners[low].1.quality, self.corners[high].1.quality);
            a + share * (b - a)
        })
    }

    /// The least cost that reaches `quality`; `None` above the best point or without points.
    #[must_use]
    pub fn cost_at(&self, quality: f64) -> Option<f64> {
        let (_, first) = self.corners.first()?;
        if quality <= first.quality {
            return Some(first.cost);
        }
        self.corners
            .windows(2)
            .find(|pair| quality <= pair[1].1.quality)
            .map(|pair| {
                let (a, b) = (pair[0].1, pair[1].1);
                a.cost + (quality - a.quality) / (b.quality - a.quality) * (b.cost - a.cost)
            })
    }

    /// Two corners and the share of the dearer one whose mix costs `cost`.
    #[must_use]
    pub fn mix_at_cost(&self, cost: f64) -> Option<(usize, usize, f64)> {
        let (_, first) = self.corners.first()?;
        if cost < first.cost {
            return None;
        }
        let segment = self
            .corners
            .windows(2)
            .position(|pair| cost <= pair[1].1.cost);
        let last = self.corners.len() - 1;
        Some(segment.map_or((last, last, 1.0), |i| {
            let (a, b) = (self.corners[i].1, self.corners[i + 1].1);
            (i, i + 1, (cost - a.cost) / (b.cost - a.cost))
        }))
    }

    /// Area under the hull between two costs; flat to the right of the best point, and 0 to the
    /// left of the cheapest.
    #[must_use]
    pub fn area(&self, from: f64, to: f64) -> f64 {
        let Some((_, last)) = self.corners.last() else {
            return 0.0;
        };
        let inside: f64 = self
            .corners
            .windows(2)
            .map(|pair| {
                let (low, high) = (pair[0].1.cost.max(from), pair[1].1.cost.min(to));
                if low >= high {
                    return 0.0;
                }
                let quality = |c: f64| self.quality_at(c).unwrap_or(0.0);
                (high - low) * f64::midpoint(quality(low), quality(high))
            })
            .sum();
        inside + (to - last.cost.max(from)).max(0.0) * last.quality
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hull(points: &[(f64, f64)]) -> Hull {
        let points: Vec<Point> = points
            .iter()
            .map(|&(cost, quality)| Point { cost, quality })
            .collect();
        Hull::of(&points)
    }

    #[test]
    fn inner_and_dominated_points_are_left_out() {
        let h = hull(&[(1.0, 0.2), (2.0, 0.3), (3.0, 0.8), (4.0, 0.7), (5.0, 0.9)]);
        let corners: Vec<usize> = h.corners().iter().map(|(i, _)| *i).collect();
        assert_eq!(corners, [0, 2, 4]);
        let close = |got: Option<f64>, expect: f64| {
            assert!(
                got.is_some_and(|got| (got - expect).abs() < 1e-12),
                "{got:?} {expect}"
            );
        };
        close(h.quality_at(2.0), 0.5);
        close(h.quality_at(9.0), 0.9);
        assert_eq!(h.quality_at(0.5), None);
        close(h.cost_at(0.5), 2.0);
        close(h.cost_at(0.1), 1.0);
        assert_eq!(h.cost_at(0.95), None);
    }

    #[test]
    fn area_is_the_integral() {
        let h = hull(&[(0.0, 0.0), (1.0, 1.0)]);
        assert!((h.area(0.0, 1.0) - 0.5).abs() < 1e-12);
        assert!((h.area(0.0, 2.0) - 1.5).abs() < 1e-12);
        assert!((h.area(0.5, 1.0) - 0.375).abs() < 1e-12);
        assert!(hull(&[]).area(0.0, 1.0).abs() < f64::EPSILON);
    }

    #[test]
    fn equal_points_are_harmless() {
        let h = hull(&[(1.0, 0.5), (1.0, 0.5), (1.0, 0.4)]);
        assert_eq!(h.corners().len(), 1);
        assert_eq!(h.quality_at(1.0), Some(0.5));
    }
}

//! The simulation in small.

use super::*;

/// A small version of the simulation: 200 repetitions of two cells.
#[test]
fn the_automatic_choice_covers_where_naive_intervals_do_not() {
    for (overlap, clustered) in [(Overlap::Good, false), (Overlap::Thin, true)] {
        let cell = Cell {
            n: 200,
            overlap,
            binary: true,
            clustered,
        };
        let rows = table(cell, 200, 7);
        for row in &rows {
            let finite = row.method.contains("betting") || row.method.contains("automatic");
            // 94 % less three Monte-Carlo errors of 1.7 points.
            assert!(
                !finite || row.coverage() >= 0.89,
                "{cell:?} {} {}: {}",
                row.quantity,
                row.method,
                row.coverage()
            );
        }
        if overlap == Overlap::Thin {
            let naive = rows
                .iter()
                .find(|row| row.method == "IPS t")
                .expect("measured");
            assert!(naive.coverage() < 0.8, "{}", naive.coverage());
        }
    }
}

#[test]
fn threads_do_not_change_the_table() {
    let cell = Cell {
        n: 60,
        overlap: Overlap::Thin,
        binary: false,
        clustered: true,
    };
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .expect("pool");
        let rows = pool.install(|| table(cell, 20, 3));
        rows.iter().map(|row| row.csv(cell)).collect::<Vec<_>>()
    };
    assert_eq!(run(1), run(3));
}

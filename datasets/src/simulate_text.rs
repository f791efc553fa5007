//! Prompts from templates: words, task and length tell how hard a request is.

use rand::RngExt;
use rand_xoshiro::Xoshiro256PlusPlus;

/// A kind of request.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) name: &'static str,
    /// Share of requests, up to normalisation.
    pub(crate) share: f64,
    /// Mean difficulty; requests spread evenly around it.
    pub(crate) difficulty: f64,
    /// Width of that spread.
    pub(crate) spread: f64,
    /// Logits an arm loses per unit of difficulty.
    pub(crate) slope: f64,
    /// Median tokens of context sent along: instructions, documents, history.
    pub(crate) context_tokens: f64,
    /// Median tokens of an answer.
    pub(crate) output_tokens: f64,
    openings: &'static [&'static str],
    subjects: &'static [&'static str],
    /// Further demands, from harmless to hard.
    demands: &'static [&'static str],
}

/// All tasks, from easy to hard.
pub(crate) const TASKS: [Task; 6] = [
    Task {
        name: "chat",
        share: 0.24,
        difficulty: 0.1,
        spread: 0.2,
        slope: 3.0,
        context_tokens: 180.0,
        output_tokens: 160.0,
        openings: &[
            "Say in plain words",
            "Answer a customer who asks",
            "Reply kindly to a note about",
        ],
        subjects: &[
            "where the parcel is",
            "how to change the delivery address",
            "why the invoice came twice",
            "what the opening hours are",
            "how to reset a password",
            "whether the blue one is in stock",
            "a late refund",
            "cancelling a subscription",
        ],
        demands: &[
            "Keep it to two sentences.",
            "Thank them first.",
            "Mention the help page.",
            "They wrote three times already and are upset.",
        ],
    },
    Task {
        name: "extraction",
        share: 0.2,
        difficulty: 0.25,
        spread: 0.3,
        slope: 3.5,
        context_tokens: 900.0,
        output_tokens: 120.0,
        openings: &[
            "Extract as JSON",
            "List from the text below",
            "Fill the form fields from",
        ],
        subjects: &[
            "the names and dates in this letter",
            "all amounts in this receipt",
            "sender, subject and deadline of this mail",
            "the parts and quantities of this order",
            "every address on this page",
            "the clauses with a notice period",
        ],
        demands: &[
            "Use null for what is absent.",
            "Dates as ISO 8601.",
            "Amounts may be in words or in two currencies.",
            "The scan has errors: correct obvious ones and mark them.",
            "Entries may contradict each other; keep the later one.",
        ],
    },
    Task {
        name: "summary",
        share: 0.18,
        difficulty: 0.4,
        spread: 0.4,
        slope: 3.5,
        context_tokens: 2_200.0,
        output_tokens: 280.0,
        openings: &[
            "Summarise",
            "Write a short brief on",
            "Give the main points of",
        ],
        subjects: &[
            "the minutes of the board meeting",
            "this week's support tickets",
            "the attached product review",
            "a long thread on pricing",
            "the quarterly report",
            "the audit findings",
        ],
        demands: &[
            "Five bullet points.",
            "For a reader without background.",
            "Keep every number.",
            "Name what the speakers disagree about.",
            "Weigh the evidence for each side.",
            "Point out claims the text does not support.",
        ],
    },
    Task {
        name: "code",
        share: 0.16,
        difficulty: 0.7,
        spread: 0.5,
        slope: 3.8,
        context_tokens: 1_300.0,
        output_tokens: 620.0,
        openings: &[
            "Write a function that",
            "Fix the module so that it",
            "Refactor the class that",
        ],
        subjects: &[
            "parses a CSV line: `fn parse(line: &str)`",
            "merges two sorted lists: `def merge(a, b)`",
            "retries a request with backoff: `async fn retry()`",
            "caches results by key: `class Cache { get(key) }`",
            "validates an IBAN: `boolean isValid(String iban)`",
            "streams rows from a cursor: `while (rs.next()) { … }`",
        ],
        demands: &[
            "Add a unit test.",
            "No external packages.",
            "Handle empty input and Unicode.",
            "It must be safe under concurrent calls.",
            "Constant memory for any input; prove the bound.",
            "Avoid the deadlock between flush and close under backpressure.",
        ],
    },
    Task {
        name: "analysis",
        share: 0.12,
        difficulty: 0.85,
        spread: 0.5,
        slope: 3.8,
        context_tokens: 1_800.0,
        output_tokens: 520.0,
        openings: &["Compare", "Assess the risks of", "Recommend a decision on"],
        subjects: &[
            "two offers for the warehouse lease",
            "moving the database to another region",
            "a price rise of four per cent",
            "entering the Nordic market",
            "replacing the payment provider",
        ],
        demands: &[
            "Use a table.",
            "State your assumptions.",
            "Quantify each effect with a range.",
            "Consider second-order effects and counterarguments.",
            "Derive the break-even point under uncertainty.",
            "Reconcile the conflicting figures in the appendix.",
        ],
    },
    Task {
        name: "maths",
        share: 0.1,
        difficulty: 1.0,
        spread: 0.5,
        slope: 4.0,
        context_tokens: 150.0,
        output_tokens: 700.0,
        openings: &[
            "Solve step by step:",
            "Prove or refute:",
            "Compute exactly:",
        ],
        subjects: &[
            "how many ways 12 guests sit at 3 tables",
            "the integral of x^2 e^(-x) from 0 to 4",
            "whether 2^n + 1 is prime for all n = 2^k",
            "the expected number of draws to see all 6 faces",
            "the eigenvalues of [[2, 1], [1, 3]]",
        ],
        demands: &[
            "Show each step.",
            "Give the result to 4 digits as well.",
            "Justify every inequality.",
            "Generalise to n and prove it by induction.",
            "Treat the degenerate cases rigorously.",
            "Give a counterexample if the converse fails.",
        ],
    },
];

/// A prompt whose demands grow in number and weight with the difficulty within its task.
pub(crate) fn prompt(task: &Task, difficulty: f64, random: &mut Xoshiro256PlusPlus) -> String {
    let opening = pick(random, task.openings);
    let subject = pick(random, task.subjects);
    let mut text = format!("{opening} {subject}");
    if !text.ends_with('.') {
        text.push('.');
    }
    let relative = ((difficulty - task.difficulty) / task.spread + 0.5).clamp(0.0, 1.0);
    #[expect(clippy::cast_precision_loss, reason = "there are few demands")]
    let reach = relative * task.demands.len() as f64;
    for (rank, demand) in (0_u8..).zip(task.demands) {
        // A demand within reach is nearly always made, one beyond it hardly ever.
        let is_made = random.random::<f64>() < if f64::from(rank) < reach { 0.85 } else { 0.05 };
        if is_made {
            text.push(' ');
            text.push_str(demand);
        }
    }
    let reference = random.random_range(1_000..1_000_000_u32);
    text + &format!(" (ref {reference})")
}

fn pick(random: &mut Xoshiro256PlusPlus, from: &[&'static str]) -> &'static str {
    from[random.random_range(0..from.len())]
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn prompt_of(task: &Task, difficulty: f64, seed: u64) -> String {
        prompt(
            task,
            difficulty,
            &mut Xoshiro256PlusPlus::seed_from_u64(seed),
        )
    }

    #[test]
    fn harder_prompts_are_longer() {
        for task in &TASKS {
            let mean = |difficulty: f64| {
                (0..200)
                    .map(|seed| prompt_of(task, difficulty, seed).len())
                    .sum::<usize>()
                    / 200
            };
            let half = task.spread / 2.0;
            let (easy, hard) = (mean(task.difficulty - half), mean(task.difficulty + half));
            assert!(hard > easy + 40, "{}: {easy} to {hard}", task.name);
        }
    }
}

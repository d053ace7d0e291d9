//! Many seeds of many cases, with means and 95 % intervals, as a table.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};

use ayni_core::audit;

use super::{Case, Rule, STRATEGIES, Strategy, play};

/// What is tabulated.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    /// Jobs per cell.
    pub seeds: u64,
    /// Providers per job.
    pub providers: usize,
}

/// Means over the seeds of one case; intervals are half widths at 95 %.
#[derive(Debug, Clone)]
struct Row {
    /// Which.
    case: Case,
    /// Its name.
    name: String,
    /// Executions beyond one per task, as a share.
    extra: (f64, f64),
    /// Wrong results accepted per liar.
    wrong: (f64, f64),
    /// Liars caught, as a share.
    caught: f64,
    /// Results until one was caught.
    until: f64,
    /// Profit of a liar, in prices.
    liar: (f64, f64),
    /// Honest profit less a liar's, in prices.
    loses: (f64, f64),
    /// Honest profit.
    honest: f64,
}

fn mean(values: &[f64]) -> (f64, f64) {
    let n = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
    (mean, 1.96 * (variance / n).sqrt())
}

impl Table {
    fn row(&self, case: Case, name: &str, first_seed: u64) -> Row {
        let (mut extra, mut wrong, mut liar, mut loses) = (vec![], vec![], vec![], vec![]);
        let (mut caught, mut until, mut honest, mut liars) = (0_u64, 0_u64, 0.0, 0_u64);
        for seed in first_seed..first_seed + self.seeds {
            let outcome = play(&case, seed);
            extra.push(outcome.extra);
            if case.hostile > 0 {
                wrong.push(outcome.wrong as f64 / case.hostile as f64);
                liar.push(mean(&outcome.liars).0);
                let lost: Vec<f64> =
                    outcome.honest.iter().zip(&outcome.liars).map(|(h, l)| h - l).collect();
                loses.push(mean(&lost).0);
                honest = mean(&outcome.honest).0;
            }
            caught += outcome.caught;
            until += outcome.until_caught;
            liars += case.hostile as u64;
        }
        Row {
            case,
            name: name.to_owned(),
            extra: mean(&extra),
            wrong: mean(&wrong),
            caught: caught as f64 / liars.max(1) as f64,
            until: until as f64 / caught.max(1) as f64,
            liar: mean(&liar),
            loses: mean(&loses),
            honest,
        }
    }

    /// A row; where it is not clear at 95 % whether lying pays, with up to 64 times the seeds.
    fn sure_row(&self, case: Case, name: &str) -> Row {
        let ours = !matches!(case.rule, Rule::Boinc | Rule::TwoOfTwo);
        let mut table = *self;
        loop {
            let row = table.row(case, name, 0);
            let unclear = row.loses.0.abs() <= row.loses.1 && case.hostile > 0 && ours;
            if !unclear || table.seeds >= 64 * self.seeds {
                return row;
            }
            table.seeds *= 4;
        }
    }

    /// Plays cases on all cores of the machine.
    fn rows(&self, cases: &[(Case, String)]) -> Vec<Row> {
        let next = AtomicUsize::new(0);
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        let mut rows: Vec<(usize, Row)> = std::thread::scope(|scope| {
            let work = || {
                let mut done = Vec::new();
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some((case, name)) = cases.get(at) else { return done };
                    done.push((at, self.sure_row(*case, name)));
                }
            };
            let handles: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            handles.into_iter().flat_map(|h| h.join().unwrap_or_default()).collect()
        });
        rows.sort_by_key(|(at, _)| *at);
        rows.into_iter().map(|(_, row)| row).collect()
    }

    fn case(
        &self,
        rule: Rule,
        strategy: Strategy,
        percent: usize,
        tasks: usize,
        gain: u128,
    ) -> Case {
        let hostile = self.providers * percent / 100;
        Case { rule, strategy, providers: self.providers, hostile, tasks, gain }
    }
}

const SIZES: [usize; 3] = [20, 100, 1_000];
const SHARES: [usize; 3] = [5, 20, 33];

/// The whole table, in Markdown.
#[must_use]
pub fn render(table: &Table) -> String {
    let mut text = String::new();
    let rules = [
        ("Ayni, staked", Rule::Staked),
        ("Ayni, pay held back", Rule::HeldBack),
        ("Ayni, audits elsewhere", Rule::Elsewhere),
        ("BOINC adaptive", Rule::Boinc),
        ("2 of 2", Rule::TwoOfTwo),
    ];
    let _ = writeln!(text, "### Extra compute when nobody lies\n");
    let _ = writeln!(text, "| rule | 20 tasks | 100 | 1,000 |\n|---|---|---|---|");
    for (name, rule) in rules {
        let cases = SIZES.map(|n| (self_case(table, rule, n), name.to_owned()));
        let cells: Vec<String> = table
            .rows(&cases)
            .iter()
            .map(|r| format!("{:.3}× ± {:.3}", 1.0 + r.extra.0, r.extra.1))
            .collect();
        let _ = writeln!(text, "| {name} | {} |", cells.join(" | "));
    }
    let _ = writeln!(text, "\n### The best a liar can do, found by search, against the bound\n");
    let _ = writeln!(
        text,
        "| tasks | audits | best plan | wrong accepted per liar | exact bound | ratio |\n|---|---|---|---|---|---|"
    );
    for tasks in SIZES {
        let _ = writeln!(text, "{}", best(table, tasks));
    }
    let _ = writeln!(text, "\n### A target share of wrong results, against the best plan\n");
    let _ = writeln!(
        text,
        "| tasks | target | audits | best plan | wrong accepted per liar | allowed |\n|---|---|---|---|---|---|"
    );
    for tasks in SIZES {
        for share in [50_000, 10_000, 1_000] {
            let _ = writeln!(text, "{}", target(table, tasks, share));
        }
    }
    for gain in [0, 10] {
        let _ = writeln!(text, "\n### Strategies, outside gain {gain} prices\n");
        let _ = writeln!(
            text,
            "| rule | strategy | hostile | tasks | extra | wrong per liar | caught | after results | liar's profit | honest | loses by lying |\n|---|---|---|---|---|---|---|---|---|---|---|"
        );
        let mut cases = Vec::new();
        for (rule_name, rule) in rules {
            for (name, strategy) in STRATEGIES {
                for percent in SHARES {
                    for tasks in SIZES {
                        let case = table.case(rule, strategy, percent, tasks, gain);
                        cases.push((case, format!("{rule_name} | {name} | {percent} %")));
                    }
                }
            }
        }
        for row in table.rows(&cases) {
            let _ = writeln!(text, "{}", line(&row));
        }
    }
    text
}

fn self_case(table: &Table, rule: Rule, tasks: usize) -> Case {
    table.case(rule, Strategy::Honest, 0, tasks, 0)
}

fn line(row: &Row) -> String {
    format!(
        "| {} | {} | {:+.3} | {:.3} ± {:.3} | {:.0} % | {:.0} | {:.1} ± {:.1} | {:.1} | {:.1} ± {:.1} |",
        row.name,
        row.case.tasks,
        row.extra.0,
        row.wrong.0,
        row.wrong.1,
        row.caught * 100.0,
        row.until,
        row.liar.0,
        row.liar.1,
        row.honest,
        row.loses.0,
        row.loses.1,
    )
}

fn target(table: &Table, tasks: usize, share: u32) -> String {
    let found = search(table, tasks, Rule::Target(share));
    let audits = f64::from(super::rate(&found.case, tasks as u64, 0)) * tasks as f64 / 1e6;
    format!(
        "| {tasks} | {} % | {audits:.1} | {} | {:.3} ± {:.3} | {:.3} |",
        f64::from(share) / 1e4,
        found.name,
        found.wrong.0,
        found.wrong.1,
        tasks as f64 * f64::from(share) / 1e6
    )
}

fn best(table: &Table, tasks: usize) -> String {
    let found = search(table, tasks, Rule::Staked);
    let audits = f64::from(audit::floor(tasks as u64, 0)) * tasks as f64 / 1e6;
    let bound = real_bound(tasks as f64, audits);
    format!(
        "| {tasks} | {audits:.2} | {} | {:.3} ± {:.3} | {bound:.3} | {:.2} |",
        found.name,
        found.wrong.0,
        found.wrong.1,
        found.wrong.0 / bound
    )
}

/// Every plan of a size and a place; the one that slips most, played again on other seeds.
fn search(table: &Table, tasks: usize, rule: Rule) -> Row {
    let mut sizes: Vec<usize> =
        (0..).map(|i| 1.3_f64.powi(i) as usize).take_while(|k| *k <= tasks).collect();
    sizes.dedup();
    let plans = |k| [Strategy::Spread(k), Strategy::Early(k), Strategy::Late(k)];
    let one = |strategy| Case { rule, strategy, providers: 2, hostile: 1, tasks, gain: 0 };
    let cases: Vec<(Case, String)> =
        sizes.iter().flat_map(|k| plans(*k)).map(|s| (one(s), format!("{s:?}"))).collect();
    let rows = table.rows(&cases);
    let found = rows.into_iter().max_by(|a, b| a.wrong.0.total_cmp(&b.wrong.0));
    // The winner among many is partly luck: it is measured on seeds that did not choose it.
    let (case, name) =
        found.map_or((one(Strategy::One), "One".to_owned()), |found| (found.case, found.name));
    table.row(case, &name, 1 << 32)
}

/// `max over k of k · C(n−k, m) / C(n, m)` for a number of audits that need not be whole.
fn real_bound(n: f64, m: f64) -> f64 {
    let (mut passes, mut most, mut k) = (1.0_f64, 0.0_f64, 1.0_f64);
    while k <= n - m {
        passes *= (n - k + 1.0 - m) / (n - k + 1.0);
        most = most.max(k * passes);
        k += 1.0;
    }
    most
}

/// [`confidence`] as a drawing: printed doubt to the right, measured frequency upwards, both on a
/// logarithmic scale; on the line they agree.
#[must_use]
pub fn drawing(points: &[(f64, f64, u64)]) -> String {
    let at = |value: f64| 40.0 + (value.max(1e-5).log10() + 5.0) * 84.0;
    let mut text = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 480 480\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"480\" height=\"480\" fill=\"#fff\"/>\n",
    );
    for power in -5..=0 {
        let x = at(10_f64.powi(power));
        let y = 480.0 - x;
        let _ = writeln!(
            text,
            "<path d=\"M{x} 40V440M40 {y}H460\" stroke=\"#ddd\"/>\
             <text x=\"{x}\" y=\"456\" text-anchor=\"middle\">1e{power}</text>\
             <text x=\"36\" y=\"{y}\" text-anchor=\"end\">1e{power}</text>"
        );
    }
    let _ = writeln!(text, "<path d=\"M40 440L460 20\" stroke=\"#888\"/>");
    for (printed, measured, results) in points {
        // The area of a dot grows with the logarithm of its results.
        let radius = (*results as f64).log10().max(1.0).sqrt() * 1.6;
        let (x, y) = (at(*printed), 480.0 - at(*measured));
        let _ = writeln!(
            text,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius:.1}\" fill=\"#06c\" \
             fill-opacity=\".7\"/>"
        );
    }
    text.push_str(
        "<text x=\"250\" y=\"474\" text-anchor=\"middle\">printed: how likely a result is wrong</text>\n\
         <text transform=\"translate(12 240) rotate(-90)\" text-anchor=\"middle\">measured: share \
         of wrong results</text>\n</svg>\n",
    );
    text
}

/// Printed doubt against how often the result was wrong, in classes of doubt.
#[must_use]
pub fn confidence(table: &Table) -> Vec<(f64, f64, u64)> {
    let mut classes: std::collections::BTreeMap<u32, (u64, u64)> =
        std::collections::BTreeMap::new();
    for tasks in [5, 10, 20, 50, 100, 300, 1_000] {
        for percent in SHARES {
            let case = table.case(Rule::Staked, Strategy::AnyRate, percent, tasks, 0);
            for seed in 0..table.seeds {
                for (doubt, results, wrong) in play(&case, seed).doubts {
                    let class = classes.entry(doubt).or_default();
                    class.0 += results;
                    class.1 += wrong;
                }
            }
        }
    }
    let rows = classes.into_iter().filter(|(_, (results, _))| *results >= 1_000);
    rows.map(|(doubt, (results, wrong))| {
        (f64::from(doubt) / 1e6, wrong as f64 / results as f64, results)
    })
    .collect()
}

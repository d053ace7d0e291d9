//! Each strategy in a world of its own, calm but for it: what it does is felt, and breaks nothing.

use ayni_sim::adversary::{CATALOGUE, Role};
use ayni_sim::world::Options;
use ayni_sim::{Knobs, Report, run_world};

/// Signs wrong outcomes: with every result audited, it is found out.
const WRONG_WORK: &[&str] = &[
    "garbage",
    "copies",
    "stale",
    "partial",
    "over_reports",
    "exhausts",
    "lies_at_rate",
    "one_per_window",
    "one_big_lie",
    "wary",
    "colludes",
    "new_key",
];

fn world(seed: u64, name: &str, dose: u64, role: Role) -> Report {
    // Nodes 0 and 1 ask, 2 to 5 provide; 2 is a directory, and so is 5.
    let node = match role {
        Role::Provider | Role::Network | Role::Payee => 2,
        Role::Requester | Role::Payer => 1,
    };
    let pay = match role {
        Role::Payer | Role::Payee => {
            "paid 1\nstep_first 4000\nstep_max 20000\nprovider_step 6000\ndeposit 40000\n\
             claim_least 5000\nwithdraw_delay_s 900\nblock_ms 1000\ndepth 2\n"
        }
        _ => "",
    };
    let text = format!(
        "seed {seed}\nrequesters 2\nproviders 4\nsecond_directory 1\njobs 2\ntasks 60\n\
         audit_ppm 1000000\nhome_slots 2\nslots_max 3\nproviders_max 4\ndelay_ms_max 30\n\
         disk_ms_max 10\nblinded_percent {}\n{pay}liar {node} {name} {dose}\n",
        if name == "blinded" { 100 } else { 0 }
    );
    run_world(Knobs::parse(&text).expect("the knobs are well-formed"), Options::default())
}

#[test]
fn nobody_breaks_a_promise_alone() {
    for entry in CATALOGUE {
        for seed in 0..4 {
            let report = world(seed, entry.name, 40, entry.role);
            let first = report.violations.first();
            assert!(first.is_none(), "{} (seed {seed}): {}", entry.name, first.unwrap());
            let asks = matches!(entry.role, Role::Requester | Role::Payer);
            let honest_jobs_tasks = if asks { 60 } else { 120 };
            let ended = report.accepted + report.failed;
            assert!(ended >= honest_jobs_tasks, "{}: {ended} tasks ended", entry.name);
        }
    }
}

#[test]
fn wrong_work_is_found_when_all_is_audited() {
    for entry in CATALOGUE.iter().filter(|entry| WRONG_WORK.contains(&entry.name)) {
        let found: u32 =
            (0..6).map(|seed| world(seed, entry.name, 10, entry.role).mismatches).sum();
        assert!(found > 0, "{} was never found out", entry.name);
    }
}

#[test]
fn the_farm_draws_every_strategy() {
    let drawn: Vec<&str> =
        (0..3_000).flat_map(|seed| Knobs::draw(seed).liars).map(|liar| liar.name).collect();
    for entry in CATALOGUE {
        let times = drawn.iter().filter(|name| **name == entry.name).count();
        assert!(times >= 5, "{} is drawn {times} times", entry.name);
    }
}

#[test]
fn the_honest_are_paid_among_cheats() {
    // Every honest account is checked to the unit in each world.
    for entry in CATALOGUE.iter().filter(|e| matches!(e.role, Role::Payer | Role::Payee)) {
        let worlds: Vec<Report> =
            (0..4).map(|seed| world(seed, entry.name, 40, entry.role)).collect();
        let broken = worlds.iter().find_map(|world| world.violations.first());
        assert!(broken.is_none(), "{}: {}", entry.name, broken.unwrap());
        let claimed: u128 = worlds.iter().map(|world| world.claimed).sum();
        assert!(claimed > 0, "{}: nobody was ever paid", entry.name);
    }
}

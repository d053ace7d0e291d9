//! How long a requester waits for a provider: compiling does not count, and saying so does not help
//! for ever.

use ayni_core::{Command, JobSpec, Tuning};
use ayni_types::{AssignmentId, JobId};
use ayni_wire::Message;

use crate::stage::{Stage, honest, job, never};

const JOB: JobId = JobId([1; 16]);
const MINUTE_MS: u64 = 60_000;

/// Jobs of the stage allow a run one minute: three of those and one more, for all but compiling.
const ALLOWED_MS: u64 = 4 * MINUTE_MS;

/// A job of whose tasks the named ones find their program not compiled.
fn compiles(tasks: &[&str], named: &[&str]) -> JobSpec {
    let mut spec = job(1, tasks);
    for task in spec.tasks.iter_mut().filter(|task| named.contains(&task.args[0].as_str())) {
        task.args.push("compiles".to_owned());
    }
    spec
}

/// Lets time pass until something is cancelled; how long that took, to two seconds.
fn until_cancelled(stage: &mut Stage) -> u64 {
    let mut waited = 0;
    while !stage.take(&[]).contains("Cancel") {
        stage.pass(2_000);
        waited += 2_000;
        assert!(waited < 24 * 60 * MINUTE_MS, "nothing is ever cancelled");
    }
    waited
}

fn assert_about(found: u64, expected: u64) {
    assert!(found.abs_diff(expected) <= 10_000, "{found} ms, and not about {expected} ms");
}

#[test]
fn compiling_does_not_count() {
    let mut stage = Stage::new(&[("ann", honest)]);
    // Both slots wait for the compiler, and so does all that waits behind them.
    let spec = compiles(&["a", "b", "c", "d", "e"], &["a", "b"]);
    stage.command(0, Command::SubmitJob(spec));
    stage.pass(29 * MINUTE_MS);
    let said = stage.take(&["Cancel", "faulted", "lost"]);
    assert_eq!((said.as_str(), stage.runs.len()), ("", 2), "nobody is given up");
    stage.compiled();
    stage.pass(MINUTE_MS);
    let view = stage.actors[0].core.job(JOB).expect("it is there");
    assert_eq!((view.counts.accepted, stage.runs.len()), (5, 5), "each ran once");
}

#[test]
fn after_compiling_time_counts_again() {
    let mut stage = Stage::new(&[("ann", never)]);
    stage.command(0, Command::SubmitJob(compiles(&["a", "b"], &["a"])));
    stage.pass(10 * MINUTE_MS);
    assert_eq!(stage.take(&["Cancel"]), "");
    // It ends, and the other run never does.
    stage.compiled();
    assert_about(until_cancelled(&mut stage), ALLOWED_MS);
}

#[test]
fn who_compiles_for_ever_is_given_up_and_not_believed_again() {
    let mut stage = Stage::new(&[("ann", honest)]);
    let tasks = ["a", "b", "c", "d", "e", "f", "g"];
    stage.command(0, Command::SubmitJob(compiles(&tasks, &tasks)));
    let compile_ms = Tuning::default().compile_ms_max;
    // Two slots, each with the next already there: all four run out together.
    assert_about(until_cancelled(&mut stage), ALLOWED_MS + compile_ms);
    stage.pass(MINUTE_MS);
    stage.take(&[]);
    assert_about(until_cancelled(&mut stage), ALLOWED_MS - MINUTE_MS);
}

#[test]
fn only_the_provider_itself_is_believed_and_only_about_what_it_has() {
    let mut stage = Stage::new(&[("ann", never), ("ben", honest)]);
    stage.disconnect(0, 2);
    stage.command(0, Command::SubmitJob(job(1, &["a"])));
    stage.pass(1_000);
    let lease = stage.actors[0].core.leases()[0].id;
    let (ann, ben) = (stage.actors[1].id, stage.actors[2].id);
    let mut waited = 0;
    while stage.take(&["Cancel"]).is_empty() {
        // Ben speaks of Ann's assignment; Ann speaks of one that she does not have.
        stage.says(ben, 0, Message::Compiling { assignment: AssignmentId { lease, number: 0 } });
        stage.says(ann, 0, Message::Compiling { assignment: AssignmentId { lease, number: 7 } });
        stage.pass(2_000);
        waited += 2_000;
        assert!(waited <= ALLOWED_MS + 10_000, "still waited for after {waited} ms");
    }
    assert!(waited >= ALLOWED_MS - 10_000, "given up after {waited} ms");
}

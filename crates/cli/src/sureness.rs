//! How results are verified and how sure they are, in words.

use ayni_api::json::{JobDetail, VerifyJson};

use crate::quantity::show_exact;

fn percent(ppm: u32) -> String {
    format!("{}%", f64::from(ppm) / 10_000.0)
}

/// A job's rule, in a line.
pub(crate) fn rule(rule: &VerifyJson) -> String {
    let mut text = match (rule.quorum, rule.audit_ppm, rule.error_ppm) {
        (2.., _, _) => format!("{} providers must agree", rule.quorum),
        (_, Some(rate), _) => format!("{} audited", percent(rate)),
        (_, None, Some(share)) => format!("at most {} wrong on average", percent(share)),
        (_, None, None) => "by the rule: each provider from 2% up".to_owned(),
    };
    if rule.outside_gain.0 > 0 {
        text.push_str(&format!(", outside gain {}", show_exact(rule.outside_gain.0)));
    }
    text
}

/// How sure a job's results are, in a line.
#[allow(clippy::cast_precision_loss)] // for people
pub(crate) fn confidence(job: &JobDetail) -> String {
    let sure = &job.confidence;
    let results = |micro: u64| micro as f64 / 1e6;
    let mut parts = vec![format!("{} checked", sure.checked)];
    if sure.agreed > 0 {
        parts.push(format!("{} agreed by a quorum", sure.agreed));
    }
    if sure.backed > 0 {
        parts.push(format!(
            "{} backed by audits (on average at most {:.2} of them wrong whatever liars do; {:.3} \
             if {} of providers are hostile)",
            sure.backed,
            results(sure.wrong_at_most_micro),
            results(sure.wrong_expected_micro),
            percent(job.verify.hostile_ppm)
        ));
    }
    if sure.unverified > 0 {
        parts.push(format!("{} unverified", sure.unverified));
    }
    parts.join(", ")
}

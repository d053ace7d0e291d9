//! Every test of the project, in one command.

use anyhow::Result;

use crate::command::{root, say};
use crate::shell::{cargo, run};
use crate::{apt, contracts, dashboard, document, examples, guests, npm, package, page, python};

/// Builds everything once, stages what the tests read, runs them all.
pub(crate) fn all() -> Result<()> {
    say("building (the first time takes about 15 minutes on two cores)");
    dashboard::build()?;
    run(&mut cargo(&["build", "--locked", "--workspace", "--all-targets"]))?;
    say("preparing example programs and data");
    for name in examples::SHOWN {
        examples::stage(name)?;
    }
    say("generated files are up to date");
    crate::ci::generate(true)?;
    say("committed example programs are what their source gives");
    say(&format!("  {:?}", guests::check_prebuilt()?));
    say("a second implementation agrees with the protocol's vectors");
    say(&format!("  {}", python::check_vectors()?.trim()));
    say("the receipt page judges as the vectors say");
    say(&format!("  {}", page::test()?.trim()));
    say("the receipt page does what a person expects of it");
    say(&format!("  {}", page::browse()?.trim()));
    say("the dashboard does what a person expects of it");
    say(&format!("  {}", dashboard::browse()?.trim()));
    say("the API does what its document says");
    say(&format!("  {}", document::test(&[])?.trim()));
    say("Python functions run on a network as they do here");
    say(&format!("  {}", package::test()?.trim()));
    // The chain's tests run a second, independent node that comes with them.
    contracts::install()?;
    // A public client buys runs in the tests of crates/x402.
    npm::install(&root().join("web/x402"))?;
    apt::install(&["xvfb"], "a display for the tests of owners who come back")?;
    say("tests");
    run(&mut cargo(&["test", "--locked", "--workspace"]))
}

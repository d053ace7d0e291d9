//! The governor from the command line's side: proposals of real changes on the local ledger, voted,
//! queued, executed, and read back from the log.

use ayni_chain::Client;
use ayni_chain::contracts::gov::{
    self, Action, Change, GovError, Proposal, ProposalId, Stage, Standing, Vote, Voter,
};
use ayni_chain::contracts::{Addresses, Channels, DeployTerms, Disputes, Registry};
use ayni_chain::embedded::LocalLedger;
use ayni_chain::sender::{FileOutbox, Intent, SendError, SendTerms, Sender};
use ayni_types::{Account, Amount};
use tempfile::TempDir;

use crate::support::{CHAIN, SOON, TestClock, account, deployed, ledger, sender, wallet};

/// Holds all votes at first: who deployed.
const HOLDER: u8 = 1;
const OTHER: u8 = 2;
const DAY_S: u64 = 86_400;

/// A ledger with contracts, where the holder votes with its own tokens.
struct Country {
    _folder: TempDir,
    _ledger: LocalLedger,
    clock: TestClock,
    client: Client,
    at: Addresses,
    steps: u32,
}

impl Country {
    async fn new() -> Self {
        let clock = TestClock::new();
        let (folder, ledger) = ledger(&clock);
        let client = Client::local(&ledger).unwrap();
        let at = deployed(&client).await;
        let mut me = Self { _folder: folder, _ledger: ledger, clock, client, at, steps: 0 };
        me.vote_token(HOLDER, gov::delegate(account(HOLDER))).await;
        me.clock.pass(1);
        me
    }

    async fn send(&mut self, by: u8, to: Account, data: Vec<u8>) -> Result<bool, SendError> {
        self.steps += 1;
        let intent = Intent::call(format!("step {}", self.steps), to, data);
        sender(&self.client, by).run(intent, SOON).await.map(|outcome| outcome.success)
    }

    async fn vote_token(&mut self, by: u8, data: Vec<u8>) {
        assert!(self.send(by, self.at.votes, data).await.unwrap());
    }

    async fn governor(&mut self, by: u8, data: Vec<u8>) {
        assert!(self.send(by, self.at.governor, data).await.unwrap());
    }

    /// What the governor would not do is found out by a trial run, and is not sent.
    async fn refused(&mut self, by: u8, data: Vec<u8>) {
        let to = self.at.governor;
        let refused = self.send(by, to, data).await;
        assert!(refused.is_err(), "{refused:?}");
    }

    async fn propose(&mut self, by: u8, changes: &[Change], why: &str) -> Proposal {
        let data = gov::propose(&self.at, changes, why, account(by)).unwrap();
        self.governor(by, data).await;
        let all = gov::proposals(&self.client, &self.at).await.unwrap();
        all.into_iter().next_back().unwrap()
    }

    async fn standing(&self, of: &Proposal) -> Standing {
        gov::standing(&self.client, &self.at, of.clone()).await.unwrap()
    }

    /// From the proposal to the end of a vote that all of the holder's tokens decide.
    async fn decided(&mut self, proposal: &Proposal, vote: Vote) {
        let terms = DeployTerms::local(account(HOLDER));
        self.clock.pass(terms.voting_delay_s + 1);
        self.governor(HOLDER, gov::vote(proposal.id, vote, "because")).await;
        self.clock.pass(u64::from(terms.voting_period_s) + 1);
    }
}

fn every_change() -> [Change; 4] {
    let disputes = DeployTerms::local(account(HOLDER)).disputes;
    [
        Change::RegistryDelays {
            unstake_s: 20 * DAY_S,
            dispute_window_s: 3 * DAY_S,
            reservation_max_s: 60 * DAY_S,
        },
        Change::JuryWeightMin(Amount(7_000_000)),
        Change::WithdrawDelays { min_s: DAY_S, max_s: 7 * DAY_S },
        Change::DisputeTerms(ayni_chain::contracts::DisputeTerms { jury_size: 5, ..disputes }),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vote_changes_every_parameter_after_the_timelock() {
    let mut country = Country::new().await;
    let changes = every_change();
    let proposal = country.propose(HOLDER, &changes, "longer delays, larger juries").await;
    assert_eq!(proposal.proposer, account(HOLDER));
    assert_eq!(proposal.description, "longer delays, larger juries");
    assert_eq!(proposal.actions, changes.map(Action::Change));
    assert_eq!(country.standing(&proposal).await.stage, Stage::Pending);
    country.refused(HOLDER, gov::vote(proposal.id, Vote::For, "")).await;

    country.decided(&proposal, Vote::For).await;
    let standing = country.standing(&proposal).await;
    assert_eq!((standing.stage, standing.ready), (Stage::Succeeded, None));
    assert_eq!(standing.for_it, DeployTerms::local(account(HOLDER)).votes);
    assert_eq!((standing.against, standing.abstained), (Amount(0), Amount(0)));

    country.refused(HOLDER, gov::execute(&proposal)).await;
    country.governor(OTHER, gov::queue(&proposal)).await;
    let standing = country.standing(&proposal).await;
    assert_eq!(standing.stage, Stage::Queued);
    assert!(standing.ready > Some(proposal.until), "{:?}", standing.ready);
    country.refused(OTHER, gov::execute(&proposal)).await;
    country.clock.pass(DeployTerms::local(account(HOLDER)).timelock_delay_s);
    country.governor(OTHER, gov::execute(&proposal)).await;
    assert_eq!(country.standing(&proposal).await.stage, Stage::Executed);

    let Country { client, at, .. } = &country;
    let window = client.view(at.registry, &Registry::disputeWindowCall {}).await.unwrap();
    let weight = client.view(at.registry, &Registry::juryWeightMinCall {}).await.unwrap();
    let least = client.view(at.channels, &Channels::withdrawDelayMinCall {}).await.unwrap();
    let terms = client.view(at.disputes, &Disputes::termsCall {}).await.unwrap();
    assert_eq!((window, weight), (3 * DAY_S, 7_000_000));
    assert_eq!((least.to::<u64>(), terms.jurySize), (DAY_S, 5));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_voted_down_taken_back_or_out_of_bounds_changes_nothing() {
    let mut country = Country::new().await;
    let [_, weight, ..] = every_change();

    let down = country.propose(HOLDER, &[weight], "voted down").await;
    country.decided(&down, Vote::Against).await;
    let standing = country.standing(&down).await;
    assert_eq!((standing.stage, standing.for_it), (Stage::Defeated, Amount(0)));
    country.refused(HOLDER, gov::queue(&down)).await;

    let back = country.propose(HOLDER, &[weight], "taken back").await;
    country.refused(OTHER, gov::cancel(&back)).await;
    country.governor(HOLDER, gov::cancel(&back)).await;
    assert_eq!(country.standing(&back).await.stage, Stage::Canceled);

    let bounds = Change::WithdrawDelays { min_s: 60, max_s: 7 * DAY_S };
    let bad = country.propose(HOLDER, &[weight, bounds], "a minute is too short").await;
    country.decided(&bad, Vote::For).await;
    country.governor(HOLDER, gov::queue(&bad)).await;
    country.clock.pass(DAY_S);
    country.refused(HOLDER, gov::execute(&bad)).await;

    let Country { client, at, .. } = &country;
    let weight = client.view(at.registry, &Registry::juryWeightMinCall {}).await.unwrap();
    assert_eq!(weight, 1_000_000, "all of a proposal or nothing");
    let listed = gov::proposals(client, at).await.unwrap();
    assert_eq!(listed, [down, back, bad]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn votes_count_from_when_they_are_delegated() {
    let mut country = Country::new().await;
    let votes = DeployTerms::local(account(HOLDER)).votes;
    let power = async |country: &Country, of: u8| {
        let Country { client, at, .. } = country;
        gov::voting_power(client, at, account(of)).await.unwrap()
    };
    let before = power(&country, OTHER).await;
    assert_eq!(
        (before.held, before.votes, before.delegate),
        (Amount(0), Amount(0), Account([0; 20]))
    );

    let [_, weight, ..] = every_change();
    let first = country.propose(HOLDER, &[weight], "first").await;
    country.clock.pass(61);
    country.vote_token(HOLDER, gov::delegate(account(OTHER))).await;
    country.governor(OTHER, gov::vote(first.id, Vote::For, "")).await;
    assert_eq!(country.standing(&first).await.for_it, Amount(0), "delegated after the vote began");
    country.governor(HOLDER, gov::vote(first.id, Vote::Abstain, "")).await;
    assert_eq!(country.standing(&first).await.abstained, votes);

    assert_eq!(power(&country, HOLDER).await.delegate, account(OTHER));
    assert_eq!(power(&country, HOLDER).await.votes, Amount(0));
    assert_eq!(power(&country, OTHER).await.votes, votes);
    let second = country.propose(OTHER, &[weight], "second").await;
    country.clock.pass(61);
    country.governor(OTHER, gov::vote(second.id, Vote::For, "")).await;
    assert_eq!(country.standing(&second).await.for_it, votes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proposal_is_its_proposers_and_an_unknown_one_is_named() {
    let mut country = Country::new().await;
    let [delays, ..] = every_change();
    let data = gov::propose(&country.at, &[delays], "mine", account(HOLDER)).unwrap();
    country.refused(OTHER, data.clone()).await;
    country.governor(HOLDER, data.clone()).await;
    country.refused(HOLDER, data).await;
    let unknown = ProposalId([7; 32]);
    let error = gov::proposal(&country.client, &country.at, unknown).await.unwrap_err();
    assert!(matches!(error, GovError::Unknown(id) if id == unknown), "{error}");
    assert!(error.to_string().contains("hint"), "{error}");
}

impl Country {
    /// As a command of its own process: with the outbox that the one before left.
    fn voter(&self, of: u8, folder: &TempDir) -> Voter {
        let outbox = FileOutbox::open(folder.path(), CHAIN, account(of)).unwrap();
        let (client, terms) = (self.client.clone(), SendTerms::LOCAL);
        let sender = Sender::new(client, wallet(of), terms, Box::new(outbox)).unwrap();
        Voter::new(sender, self.at, SOON)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_too_early_twice_or_too_late_is_done_once_and_says_when() {
    let country = Country::new().await;
    let folder = tempfile::tempdir().unwrap();
    let [_, weight, ..] = every_change();
    let told = |error: GovError| {
        let text = error.to_string();
        assert!(text.contains("hint: it"), "{text}");
        text
    };
    let id = country.voter(HOLDER, &folder).propose(&[weight], "heavier").await.unwrap();
    let again = country.voter(HOLDER, &folder).propose(&[weight], " heavier ").await.unwrap();
    assert_eq!(id, again);
    let early = country.voter(HOLDER, &folder).vote(id, Vote::For, "").await.unwrap_err();
    assert!(told(early).contains("is pending, and must be active"));

    country.clock.pass(61);
    for _ in 0..2 {
        country.voter(HOLDER, &folder).vote(id, Vote::For, "good").await.unwrap();
    }
    let other = country.voter(HOLDER, &folder).vote(id, Vote::Against, "").await.unwrap_err();
    assert!(matches!(other, GovError::Send(SendError::Conflict(_))), "{other}");
    let early = country.voter(HOLDER, &folder).queue(id).await.unwrap_err();
    assert!(told(early).contains("is active, and must be succeeded"));

    country.clock.pass(3_601);
    let queued = country.voter(HOLDER, &folder).queue(id).await.unwrap();
    assert_eq!(queued.stage, Stage::Queued);
    // The governor says queued; the timelock says not yet. Later it is another try.
    let early = country.voter(HOLDER, &folder).execute(id).await.unwrap_err();
    assert!(matches!(early, GovError::Send(SendError::Refused { .. })), "{early}");
    country.clock.pass(60);
    country.voter(HOLDER, &folder).execute(id).await.unwrap();
    let late = country.voter(HOLDER, &folder).execute(id).await.unwrap_err();
    assert!(told(late).contains("is executed, and must be queued"));

    let all = country.voter(HOLDER, &folder).list().await.unwrap();
    let stages: Vec<_> = all.iter().map(|one| (one.proposal.id, one.stage)).collect();
    assert_eq!(stages, [(id, Stage::Executed)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn votes_are_lent_back_and_forth_and_back() {
    let country = Country::new().await;
    let folder = tempfile::tempdir().unwrap();
    let mut voter = country.voter(HOLDER, &folder);
    for to in [OTHER, OTHER, HOLDER, OTHER, HOLDER] {
        voter.delegate(account(to)).await.unwrap();
        let power = gov::voting_power(&country.client, &country.at, account(HOLDER)).await.unwrap();
        assert_eq!(power.delegate, account(to));
    }
}

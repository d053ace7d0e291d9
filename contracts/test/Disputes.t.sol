// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";

import {DisputeTerms} from "../src/DisputeTerms.sol";
import {Disputes} from "../src/Disputes.sol";
import {Juries} from "../src/Juries.sol";
import {Receipts} from "../src/Receipts.sol";
import {Registry} from "../src/Registry.sol";
import {Stage} from "./Stage.sol";

/// @dev Two roots, and the ways a dispute can go.
contract DisputesTest is Stage {
    // Bonds by `usualTerms`: (3·3 + 1)·100 + 150, and (2·3 + 1)·100.
    uint256 private constant BOND = 1150;
    uint256 private constant APPEAL = 700;

    function setUp() external {
        stage();
        jurors(14);
    }

    // ---- Two roots ----

    function test_two_roots_of_the_nodes_own_making_slash_without_a_jury() external {
        string memory text = json();
        Disputes.SignedHeader memory a;
        Disputes.SignedHeader memory b;
        (a.header,, a.signature) = header(text, ".two_roots.first");
        (b.header,, b.signature) = header(text, ".two_roots.second");
        // The sample's lease was issued, by its id, in the year 2109.
        vm.warp(Receipts.issuedMs(a.header.lease) / 1000);
        prepareLater();
        bytes memory s = backing(a.header.lease, requester);
        vm.prank(account("watch-tower"));
        disputes.proveTwoRoots(provider, requester, a, b, s);
        equal(disputes.owed(requester), 500, "the reward is the requester's");
        equal(disputes.owed(account("watch-tower")), 0, "not the bringer's");
        equal(token.balanceOf(disputes.BURN()), RESERVED - 500, "the rest is burned");
        solvent(0);
        vm.expectPartialRevert(Disputes.UsedBefore.selector);
        disputes.proveTwoRoots(provider, requester, a, b, s);
    }

    function test_what_is_no_proof_slashes_nobody() external {
        bytes16 id = lease();
        Disputes.SignedHeader memory a = headerOf(id, 3, keccak256("a"));
        bytes memory s = backing(id, requester);
        bytes4[8] memory why = [
            Disputes.SameHeader.selector,
            Disputes.NotOneBatch.selector,
            Disputes.NotOneBatch.selector,
            Disputes.SignersDiffer.selector,
            Disputes.KeyNotTheProviders.selector,
            Disputes.NotBacked.selector,
            Disputes.NotBacked.selector,
            Receipts.BadSignature.selector
        ];
        for (uint256 i; i < why.length; ++i) {
            Disputes.SignedHeader memory b = headerOf(id, 3, keccak256("b"));
            (address who, address for_, bytes memory t) = (provider, requester, s);
            if (i == 0) b = headerOf(id, 3, keccak256("a"));
            if (i == 1) b.header.batch += 1;
            if (i == 2) b = headerOf(bytes16(uint128(id) + 1), 3, keccak256("b"));
            if (i == 3) b.signature = signed(secret("thief"), Receipts.batchHash(b.header));
            if (i == 4) who = account("juror 0");
            if (i == 5) for_ = account("stranger");
            if (i == 6) t = signed(secret("thief"), disputes.backingDigest(id, requester));
            if (i == 7) b.signature = hex"00";
            vm.expectPartialRevert(why[i]);
            disputes.proveTwoRoots(who, for_, a, b, t);
        }
        equal(token.balanceOf(address(registry)), registry.stakedTotal(), "untouched");
    }

    // ---- Opening ----

    function test_a_receipt_of_the_nodes_own_making_opens_a_dispute() external {
        Statement memory s = statement(2, 3);
        vm.warp(Receipts.issuedMs(s.receipt.lease) / 1000);
        prepareLater();
        Disputes.Evidence memory e = Disputes.Evidence({
            provider: provider,
            receipt: s.receipt,
            proof: s.proof,
            header: s.header,
            signature: s.signature,
            backing: backing(s.receipt.lease, requester)
        });
        vm.prank(requester);
        uint256 id = disputes.openDispute(e, RIGHT);
        equal(disputes.disputeOf(id).outcome, s.receipt.outcome, "outcome");
        equal(disputes.disputeOf(id).price, s.receipt.price, "price");
        solvent(BOND);
    }

    function test_bad_evidence_opens_nothing() external {
        bytes4[8] memory why = [
            Disputes.SameOutcome.selector,
            Disputes.SameOutcome.selector,
            Receipts.NotInBatch.selector,
            Disputes.KeyNotTheProviders.selector,
            Disputes.NotBacked.selector,
            Disputes.NotBacked.selector,
            Disputes.NotBacked.selector,
            Disputes.KeyNotTheProviders.selector
        ];
        for (uint256 i; i < why.length; ++i) {
            if (i == 6) vm.warp(block.timestamp + 37 days + 1);
            if (i == 7) vm.warp(block.timestamp + 31 days);
            Disputes.Evidence memory e = evidence();
            (address who, bytes32 counter) = (requester, RIGHT);
            if (i == 0) counter = WRONG;
            if (i == 1) counter = 0;
            if (i == 2) e.receipt.price += 1;
            if (i == 3) e.signature = signed(secret("thief"), Receipts.batchHash(e.header));
            if (i == 4) who = account("juror 0");
            if (i == 5) e.backing = backing(bytes16(uint128(1)), requester);
            vm.prank(who);
            vm.expectPartialRevert(why[i]);
            disputes.openDispute(e, counter);
        }
    }

    function test_a_receipt_is_judged_once() external {
        Disputes.Evidence memory e = evidence();
        vm.prank(requester);
        disputes.openDispute(e, RIGHT);
        vm.prank(requester);
        vm.expectPartialRevert(Disputes.UsedBefore.selector);
        disputes.openDispute(e, RIGHT);
    }

    // ---- Drawing ----

    function test_the_jury_is_drawn_by_a_block_to_come_without_parties() external {
        // The parties are the heaviest jurors by far.
        vm.prank(provider);
        registry.setJuryWeight(30_000);
        staked(requester, 30_000);
        vm.prank(requester);
        registry.setJuryWeight(30_000);
        uint256 id = open();
        vm.expectPartialRevert(Juries.NotDrawable.selector);
        disputes.draw(id);
        address[] memory members = draw(id);
        equal(registry.drawsPending(), 0, "the pool is free again");
        equal(members.length, 3, "size");
        for (uint256 i; i < 3; ++i) {
            check(members[i] != provider && members[i] != requester, "a party judges");
            for (uint256 j; j < i; ++j) {
                check(members[i] != members[j], "one juror, two seats");
            }
        }
    }

    function test_a_seed_lost_to_time_is_drawn_again() external {
        uint256 id = open();
        uint256 seedBlock = disputes.juryOf(id, 0).seedBlock;
        vm.roll(seedBlock + 10_000);
        disputes.draw(id);
        equal(disputes.juryOf(id, 0).seedBlock, seedBlock + 10_004, "another block");
        equal(registry.drawsPending(), 1, "still frozen");
        equal(draw(id).length, 3, "drawn");
    }

    // ---- Verdicts ----

    function test_a_wrong_outcome_is_made_good_from_the_stake() external {
        uint256 id = open();
        address[] memory members = draw(id);
        allAnswer(id, members, Juries.Verdict.Overturned, RIGHT, ROOT);
        vm.expectPartialRevert(Disputes.AppealOpen.selector);
        disputes.execute(id);
        finish(id);
        for (uint256 i; i < 3; ++i) {
            equal(disputes.owed(members[i]), 100, "juror");
        }
        equal(disputes.owed(requester), BOND + PRICE + 500, "bond, price, costs");
        equal(disputes.owed(provider), 0, "provider");
        equal(token.balanceOf(disputes.BURN()), RESERVED - 300 - PRICE - 500, "burned");
        equal(disputes.currentRuling(id), 2, "ruling");
        solvent(0);
        uint256 before = token.balanceOf(requester);
        disputes.withdraw(requester);
        equal(token.balanceOf(requester) - before, BOND + PRICE + 500, "paid");
        vm.expectPartialRevert(Disputes.NothingOwed.selector);
        disputes.withdraw(requester);
        vm.expectPartialRevert(Disputes.WrongPhase.selector);
        disputes.execute(id);
    }

    function test_a_right_outcome_costs_the_challenger() external {
        uint256 id = open();
        address[] memory members = draw(id);
        allAnswer(id, members, Juries.Verdict.Upheld, WRONG, ROOT);
        finish(id);
        equal(disputes.owed(provider), 150, "the provider's trouble");
        equal(disputes.owed(requester), BOND - 150 - 300, "what no jury cost");
        (uint128 reserved,,) = registry.backing(provider, requester);
        equal(reserved, RESERVED, "nothing slashed");
        solvent(0);
    }

    function test_an_engine_incident_slashes_nobody() external {
        uint256 id = open();
        address[] memory members = draw(id);
        allAnswer(id, members, Juries.Verdict.EngineIncident, 0, 0);
        vm.warp(block.timestamp + 2 days);
        vm.expectEmit(address(disputes));
        emit Disputes.EngineIncidentFound(id, keccak256("task"));
        disputes.execute(id);
        equal(disputes.owed(requester), BOND - 3 * 40, "the bond but a small fee");
        equal(disputes.owed(provider), 0, "provider");
        solvent(0);
    }

    function test_a_challenger_that_shows_nothing_pays_for_everybodys_trouble() external {
        uint256 id = open();
        address[] memory members = draw(id);
        allAnswer(id, members, Juries.Verdict.Withheld, 0, 0);
        vm.warp(block.timestamp + 2 days);
        disputes.execute(id);
        equal(disputes.currentRuling(id), 4, "withheld");
        equal(disputes.owed(requester), BOND - 3 * 40 - 150, "the bond but fees and trouble");
        equal(disputes.owed(provider), 150, "the provider's trouble");
        solvent(0);
    }

    /// @dev The outcome is public; the state is not. Two copiers against one honest juror win
    /// nothing, since they can't even agree.
    function test_who_copies_a_public_outcome_earns_nothing() external {
        uint256 id = open();
        address[] memory m = draw(id);
        commitAs(id, m[0], Juries.Verdict.Upheld, WRONG, keccak256("made up"));
        commitAs(id, m[1], Juries.Verdict.Upheld, WRONG, keccak256("made up too"));
        commitAs(id, m[2], Juries.Verdict.Overturned, RIGHT, ROOT);
        revealAs(id, m[0], Juries.Verdict.Upheld, WRONG, keccak256("made up"));
        revealAs(id, m[1], Juries.Verdict.Upheld, WRONG, keccak256("made up too"));
        revealAs(id, m[2], Juries.Verdict.Overturned, RIGHT, ROOT);
        disputes.tally(id);
        check(disputes.disputeOf(id).phase == Disputes.Phase.Drawing, "another jury");
        m = draw(id);
        allAnswer(id, m, Juries.Verdict.Overturned, RIGHT, ROOT);
        finish(id);
        equal(disputes.currentRuling(id), 2, "overturned");
        solvent(0);
    }

    function test_a_commitment_is_ones_own_and_a_reveal_what_was_committed() external {
        uint256 id = open();
        address[] memory m = draw(id);
        vm.prank(account("stranger"));
        vm.expectPartialRevert(Juries.NotAJuror.selector);
        disputes.commit(id, bytes32(uint256(1)));
        commitAs(id, m[0], Juries.Verdict.Overturned, RIGHT, ROOT);
        bytes32 copied = disputes.commitmentOf(
            id, 0, m[0], Juries.Verdict.Overturned, RIGHT, ROOT, saltOf(m[0])
        );
        vm.prank(m[1]);
        disputes.commit(id, copied);
        commitAs(id, m[2], Juries.Verdict.Upheld, RIGHT, ROOT);
        vm.prank(m[0]);
        vm.expectPartialRevert(Juries.CommittedBefore.selector);
        disputes.commit(id, copied);
        revealAs(id, m[0], Juries.Verdict.Overturned, RIGHT, ROOT);
        bytes32 salt = saltOf(m[0]);
        vm.prank(m[1]);
        vm.expectPartialRevert(Juries.WrongReveal.selector);
        disputes.reveal(id, Juries.Verdict.Overturned, RIGHT, ROOT, salt);
        salt = saltOf(m[2]);
        vm.prank(m[2]);
        vm.expectPartialRevert(Juries.ImpossibleAnswer.selector);
        disputes.reveal(id, Juries.Verdict.Upheld, RIGHT, ROOT, salt);
        vm.expectPartialRevert(Juries.StillVoting.selector);
        disputes.tally(id);
    }

    function test_answers_that_make_no_sense_are_refused() external {
        uint256 id = open();
        address[] memory m = draw(id);
        Juries.Verdict[3] memory v =
            [Juries.Verdict.None, Juries.Verdict.Overturned, Juries.Verdict.EngineIncident];
        bytes32[3] memory outcome = [bytes32(0), WRONG, RIGHT];
        for (uint256 i; i < 3; ++i) {
            commitAs(id, m[i], v[i], outcome[i], 0);
        }
        for (uint256 i; i < 3; ++i) {
            bytes32 salt = saltOf(m[i]);
            vm.prank(m[i]);
            vm.expectPartialRevert(Juries.ImpossibleAnswer.selector);
            disputes.reveal(id, v[i], outcome[i], 0, salt);
        }
    }

    // ---- Absence ----

    function test_absent_jurors_lose_a_part_and_two_empty_juries_prove_nothing() external {
        uint256 id = open();
        address[] memory first = draw(id);
        vm.expectPartialRevert(Juries.StillVoting.selector);
        disputes.tally(id);
        vm.warp(block.timestamp + 2 hours + 1);
        disputes.tally(id);
        (,, uint128 locked,,,) = registry.stakes(first[0]);
        equal(locked, 1900, "5 % of 2,000");
        equal(token.balanceOf(disputes.BURN()), 300, "burned");
        address[] memory second = draw(id);
        for (uint256 i; i < 3; ++i) {
            for (uint256 j; j < 3; ++j) {
                check(first[i] != second[j], "the same juror again");
            }
        }
        vm.warp(block.timestamp + 2 hours + 1);
        disputes.tally(id);
        check(disputes.disputeOf(id).phase == Disputes.Phase.Closed, "closed");
        equal(disputes.currentRuling(id), 0, "unproven");
        equal(disputes.owed(requester), BOND, "the bond is back");
        solvent(0);
    }

    function test_an_absent_juror_does_not_stop_a_majority() external {
        uint256 id = open();
        address[] memory m = draw(id);
        commitAs(id, m[0], Juries.Verdict.Overturned, RIGHT, ROOT);
        commitAs(id, m[1], Juries.Verdict.Overturned, RIGHT, ROOT);
        bytes32 salt = saltOf(m[0]);
        vm.prank(m[0]);
        vm.expectPartialRevert(Juries.RevealNotOpen.selector);
        disputes.reveal(id, Juries.Verdict.Overturned, RIGHT, ROOT, salt);
        vm.warp(block.timestamp + 1 hours + 1);
        vm.prank(m[2]);
        vm.expectPartialRevert(Juries.CommitOver.selector);
        disputes.commit(id, bytes32(uint256(1)));
        revealAs(id, m[0], Juries.Verdict.Overturned, RIGHT, ROOT);
        revealAs(id, m[1], Juries.Verdict.Overturned, RIGHT, ROOT);
        vm.warp(block.timestamp + 1 hours);
        disputes.tally(id);
        finish(id);
        equal(disputes.currentRuling(id), 2, "overturned");
        equal(disputes.owed(m[2]), 0, "the absent one gets nothing");
        solvent(0);
    }

    // ---- Appeals ----

    function test_an_appeal_that_turns_the_ruling_gets_its_bond_back() external {
        uint256 id = open();
        allAnswer(id, draw(id), Juries.Verdict.Upheld, WRONG, ROOT);
        vm.prank(requester);
        disputes.appeal(id);
        solvent(BOND + APPEAL);
        address[] memory second = draw(id);
        equal(second.length, 7, "2m + 1");
        allAnswer(id, second, Juries.Verdict.Overturned, RIGHT, ROOT);
        disputes.execute(id); // final at once
        equal(disputes.owed(requester), BOND + APPEAL + PRICE + 500, "all back, and made good");
        equal(token.balanceOf(disputes.BURN()), RESERVED - 700 - PRICE - 500, "burned");
        solvent(0);
    }

    function test_a_lost_appeal_pays_the_jurors() external {
        uint256 id = open();
        allAnswer(id, draw(id), Juries.Verdict.Overturned, RIGHT, ROOT);
        vm.prank(provider);
        disputes.appeal(id);
        allAnswer(id, draw(id), Juries.Verdict.Overturned, RIGHT, ROOT);
        disputes.execute(id);
        // Ten jurors at 100: 700 from the appeal's bond, 300 from the stake.
        equal(disputes.owed(requester), BOND + PRICE + 500, "made good");
        equal(token.balanceOf(disputes.BURN()), RESERVED - 300 - PRICE - 500, "burned");
        solvent(0);
    }

    function test_an_honest_provider_wins_its_appeal() external {
        uint256 id = open();
        address[] memory first = draw(id);
        allAnswer(id, first, Juries.Verdict.Overturned, RIGHT, ROOT);
        vm.prank(provider);
        disputes.appeal(id);
        allAnswer(id, draw(id), Juries.Verdict.Upheld, WRONG, ROOT);
        disputes.execute(id);
        equal(disputes.owed(provider), APPEAL + 150, "bond and trouble");
        equal(disputes.owed(first[0]), 0, "who was wrong gets nothing");
        equal(disputes.owed(requester), BOND - 150 - 700, "the challenger pays both");
        solvent(0);
    }

    function test_only_parties_and_dissenters_appeal_once_and_in_time() external {
        uint256 id = open();
        address[] memory m = draw(id);
        bytes32[3] memory roots = [ROOT, ROOT, keccak256("dissent")];
        for (uint256 i; i < 3; ++i) {
            commitAs(id, m[i], Juries.Verdict.Overturned, RIGHT, roots[i]);
        }
        for (uint256 i; i < 3; ++i) {
            revealAs(id, m[i], Juries.Verdict.Overturned, RIGHT, roots[i]);
        }
        disputes.tally(id);
        equal(disputes.disputeStatus(id), 1, "appealable");
        vm.prank(m[0]);
        vm.expectPartialRevert(Disputes.NotAParty.selector);
        disputes.appeal(id);
        vm.prank(m[2]);
        disputes.appeal(id);
        address[] memory second = draw(id);
        allAnswer(id, second, Juries.Verdict.Overturned, RIGHT, ROOT);
        vm.prank(provider);
        vm.expectPartialRevert(Disputes.NotAppealable.selector);
        disputes.appeal(id);
    }

    function test_an_appeal_after_its_window_is_refused() external {
        uint256 id = open();
        allAnswer(id, draw(id), Juries.Verdict.Overturned, RIGHT, ROOT);
        vm.warp(block.timestamp + 1 days + 1);
        vm.prank(provider);
        vm.expectPartialRevert(Disputes.NotAppealable.selector);
        disputes.appeal(id);
    }

    /// @dev Were it unproven, every loser could appeal into an empty pool.
    function test_an_appeal_that_finds_no_jury_leaves_the_first_verdict() external {
        // Nine of the fourteen leave: after the first jury too few are left for seven.
        for (uint256 i = 5; i < 14; ++i) {
            vm.prank(account(jurorName(i)));
            registry.setJuryWeight(0);
        }
        uint256 id = open();
        allAnswer(id, draw(id), Juries.Verdict.Overturned, RIGHT, ROOT);
        vm.prank(provider);
        disputes.appeal(id);
        draw(id);
        draw(id);
        check(disputes.disputeOf(id).phase == Disputes.Phase.Closed, "closed");
        equal(disputes.currentRuling(id), 2, "the first verdict stands");
        equal(disputes.owed(provider), APPEAL, "nobody answered: bond back");
        equal(registry.drawsPending(), 0, "the pool is free");
        solvent(0);
    }

    function test_without_jurors_nothing_is_proven() external {
        for (uint256 i; i < 14; ++i) {
            vm.prank(account(jurorName(i)));
            registry.setJuryWeight(0);
        }
        uint256 id = open();
        draw(id);
        draw(id);
        equal(disputes.owed(requester), BOND, "the bond is back");
        equal(registry.drawsPending(), 0, "the pool is free");
        solvent(0);
    }

    // ---- Edges ----

    function test_the_bond_steps_in_when_the_reservation_can_not_pay_the_jury() external {
        vm.prank(provider);
        registry.reserve(account("poor"), 120, uint64(block.timestamp + 30 days));
        fund(account("poor"));
        Disputes.Evidence memory e = evidence();
        e.backing = backing(e.receipt.lease, account("poor"));
        vm.prank(account("poor"));
        uint256 id = disputes.openDispute(e, RIGHT);
        allAnswer(id, draw(id), Juries.Verdict.Overturned, RIGHT, ROOT);
        finish(id);
        equal(disputes.owed(account("poor")), BOND - 180, "120 of 300 came from the stake");
    }

    function test_a_reservation_is_held_while_a_dispute_runs() external {
        vm.warp(block.timestamp + 30 days);
        open();
        vm.warp(block.timestamp + 7 days + 1);
        vm.expectPartialRevert(Registry.TooEarly.selector);
        registry.release(provider, requester);
        vm.warp(block.timestamp + 2 days);
        registry.release(provider, requester);
    }

    function test_another_dispute_contract_ends_open_disputes_unproven() external {
        uint256 id = open();
        vm.expectPartialRevert(Disputes.WrongPhase.selector);
        disputes.abandon(id);
        vm.prank(account("owner"));
        registry.setDisputes(address(1));
        disputes.abandon(id);
        equal(disputes.owed(requester), BOND, "the bond is back");
        solvent(0);
    }

    function test_a_dispute_contract_that_comes_back_goes_on() external {
        uint256 id = open();
        vm.startPrank(account("owner"));
        registry.setDisputes(address(1));
        registry.setDisputes(address(disputes));
        vm.stopPrank();
        allAnswer(id, draw(id), Juries.Verdict.Upheld, WRONG, ROOT);
        finish(id);
        equal(registry.drawsPending(), 0, "the pool is free");
        solvent(0);
    }

    function test_terms_stay_within_bounds() external {
        DisputeTerms.Terms memory t = usualTerms();
        vm.expectPartialRevert(Ownable.OwnableUnauthorizedAccount.selector);
        disputes.setTerms(t);
        for (uint256 i; i < 12; ++i) {
            t = usualTerms();
            if (i == 0) t.jurorFee = 0;
            if (i == 1) t.incidentFee = t.jurorFee + 1;
            if (i == 2) t.challengerReward = uint96(BOND + 1);
            if (i == 3) t.commitWindow = 599;
            if (i == 4) t.revealWindow = 7 days + 1;
            if (i == 5) t.appealWindow = 0;
            if (i == 6) t.slashBps = 10_001;
            if (i == 7) t.equivocationBps = 999;
            if (i == 8) t.absenceBps = 1001;
            if (i == 9) t.jurySize = 4;
            if (i == 10) t.jurySize = 17;
            if (i == 11) t.seedDelay = 0;
            vm.prank(account("owner"));
            vm.expectPartialRevert(DisputeTerms.TermOutOfBounds.selector);
            disputes.setTerms(t);
        }
    }

    function test_a_dispute_keeps_the_terms_it_was_opened_under() external {
        uint256 id = open();
        DisputeTerms.Terms memory t = usualTerms();
        t.jurorFee = 10_000;
        vm.prank(account("owner"));
        disputes.setTerms(t);
        equal(disputes.termsOf(id).jurorFee, 100, "its own");
        allAnswer(id, draw(id), Juries.Verdict.Upheld, WRONG, ROOT);
        finish(id);
        solvent(0);
    }

    /// @dev After time moved far, the stage's key has lapsed: another provider names it anew.
    function prepareLater() private {
        provider = account("provider later");
        staked(provider, 50_000);
        vm.startPrank(provider);
        registry.reserve(requester, RESERVED, uint64(block.timestamp + 30 days));
        registry.authoriseKey(vm.addr(BATCH_KEY), uint64(block.timestamp + 60 days));
        vm.stopPrank();
    }
}

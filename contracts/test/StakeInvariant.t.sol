// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Disputes} from "../src/Disputes.sol";
import {Juries} from "../src/Juries.sol";
import {Receipts} from "../src/Receipts.sol";
import {Base} from "./Base.sol";
import {Stage} from "./Stage.sol";

/// @dev Stakers, requesters and jurors doing at random what they can, disputes included.
contract StakeHandler is Stage {
    uint256 public constant STAKERS = 10; // the provider, and jurors who also reserve and leave

    uint256 public opened;
    uint256 private salt;
    /// @dev Worked out once: deriving addresses is what takes time.
    address[STAKERS] private stakers;

    constructor() {
        stage();
        stakers[0] = provider;
        for (uint256 i = 1; i < STAKERS; ++i) {
            stakers[i] = account(jurorName(i - 1));
        }
        jurors(STAKERS - 1);
        vm.prank(provider);
        registry.reserve(requester, 30_000, uint64(block.timestamp + 80 days));
    }

    // ---- Stake ----

    function stake(uint256 seed, uint128 amount) external {
        address who = staker(seed);
        amount = uint128(bounded(amount, 1, 10_000));
        token.mint(who, amount);
        vm.prank(who);
        registry.stake(who, amount);
    }

    function requestUnstake(uint256 seed, uint128 amount) external {
        address who = staker(seed);
        uint128 free = freeOf(who);
        if (free == 0) return;
        vm.prank(who);
        registry.requestUnstake(uint128(bounded(amount, 1, free)));
    }

    function unstake(uint256 seed) external {
        address who = staker(seed);
        (,,, uint128 leaving, uint64 from,) = registry.stakes(who);
        if (leaving == 0 || block.timestamp < from) return;
        vm.prank(who);
        registry.unstake();
    }

    function reserve(uint256 seed, uint128 amount, uint64 time) external {
        address who = staker(seed);
        (uint128 before, uint64 until,) = registry.reservations(who, requester);
        uint128 free = freeOf(who);
        if (free == 0) return;
        uint256 max = block.timestamp + 90 days;
        uint64 to = uint64(bounded(time, block.timestamp + 1, max));
        vm.prank(who);
        registry.reserve(
            requester, before + uint128(bounded(amount, 1, free)), to > until ? to : until
        );
    }

    function release(uint256 seed) external {
        address who = staker(seed);
        (uint128 amount, uint64 until, uint64 held) = registry.reservations(who, requester);
        bool mayGo = block.timestamp >= until + 7 days && block.timestamp >= held && amount > 0;
        try registry.release(who, requester) {
            check(mayGo, "released too early");
        } catch {
            check(!mayGo, "kept too long");
        }
    }

    function setJuryWeight(uint256 seed, uint128 weight) external {
        address who = staker(seed);
        vm.prank(who);
        // Refused while a draw waits, on duty, or without free stake.
        try registry.setJuryWeight(weight % 4000) {} catch {}
    }

    function syncJuror(uint256 seed) external {
        try registry.syncJuror(staker(seed)) {} catch {}
    }

    function pass(uint256 time) external {
        vm.warp(block.timestamp + bounded(time, 1, 1 days));
        vm.roll(block.number + 1);
    }

    // ---- Disputes ----

    function proveTwoRoots(uint256 seed) external {
        bytes16 id = bytes16(uint128(lease()) + uint128(++salt));
        if (salt % 32 != 0) return; // seldom, or nothing is left to reserve
        Disputes.SignedHeader memory a = headerOf(id, 3, keccak256(abi.encode(seed)));
        Disputes.SignedHeader memory b = headerOf(id, 4, keccak256(abi.encode(seed)));
        bytes memory s = backing(id, requester);
        try disputes.proveTwoRoots(provider, requester, a, b, s) {} catch {}
    }

    function openDispute() external {
        if (opened - closed() >= 3) return;
        Disputes.Evidence memory e;
        bytes16 id = bytes16(uint128(lease()) + uint128(++salt));
        e.receipt = Receipts.Receipt(id, 9, 0, 100, keccak256("task"), WRONG, 5, 6, 7, PRICE);
        e.provider = provider;
        Disputes.SignedHeader memory h = headerOf(id, 1, Receipts.leaf(e.receipt));
        (e.header, e.signature, e.backing) = (h.header, h.signature, backing(id, requester));
        vm.prank(requester);
        try disputes.openDispute(e, RIGHT) {
            ++opened;
        } catch {}
    }

    function drawJury(uint256 seed) external {
        (bool any, uint256 id) = inPhase(seed, Disputes.Phase.Drawing);
        if (any) draw(id);
    }

    function commitAnswer(uint256 seed, uint8 kind) external {
        (bool any, uint256 id) = inPhase(seed, Disputes.Phase.Voting);
        if (!any) return;
        address[] memory members = disputes.juryOf(id, disputes.juryCount(id) - 1).members;
        for (uint256 i; i < members.length; ++i) {
            if (uint256(keccak256(abi.encode(seed, i))) % 8 == 0) continue; // absent
            (Juries.Verdict v, bytes32 outcome, bytes32 root) = answer(kind, seed, i);
            bytes32 c = disputes.commitmentOf(
                id, disputes.juryCount(id) - 1, members[i], v, outcome, root, saltOf(members[i])
            );
            vm.prank(members[i]);
            try disputes.commit(id, c) {} catch {}
        }
        vm.warp(block.timestamp + 1 hours + 1);
        for (uint256 i; i < members.length; ++i) {
            (Juries.Verdict v, bytes32 outcome, bytes32 root) = answer(kind, seed, i);
            bytes32 salt_ = saltOf(members[i]);
            vm.prank(members[i]);
            try disputes.reveal(id, v, outcome, root, salt_) {} catch {}
        }
        vm.warp(block.timestamp + 1 hours + 1);
        disputes.tally(id);
    }

    function appeal(uint256 seed) external {
        (bool any, uint256 id) = inPhase(seed, Disputes.Phase.Tallied);
        if (!any) return;
        vm.prank(seed >> 8 & 1 == 0 ? provider : requester);
        try disputes.appeal(id) {} catch {}
    }

    function execute(uint256 seed) external {
        (bool any, uint256 id) = inPhase(seed, Disputes.Phase.Tallied);
        if (!any) return;
        vm.warp(block.timestamp + 1 days + 1);
        disputes.execute(id);
    }

    function withdraw(uint256 seed) external {
        address who = seed % 3 == 0 ? requester : staker(seed);
        if (disputes.owed(who) > 0) disputes.withdraw(who);
    }

    // ---- What must hold ----

    function checkAll() external view {
        uint256 stakes;
        uint256 owed = disputes.owed(requester);
        uint256 weights;
        for (uint256 i; i < STAKERS; ++i) {
            address who = staker(i);
            (uint128 all, uint128 reserved, uint128 jury, uint128 leaving,,) = registry.stakes(who);
            (uint128 amount,,) = registry.reservations(who, requester);
            equal(reserved, amount, "reserved is the sum of reservations");
            check(uint256(reserved) + jury + leaving <= all, "more is bound than staked");
            (, uint128 weight) = registry.seats(who);
            // Who was penalised below the minimum is out at once; what is left waits for its duty.
            bool isOut = weight == 0 && jury < registry.juryWeightMin();
            check(weight >= jury || isOut, "a seat without weight");
            weights += weight;
            stakes += all;
            owed += disputes.owed(who);
        }
        equal(token.balanceOf(address(registry)), stakes, "the registry holds all stakes");
        equal(registry.stakedTotal(), stakes, "and knows it");
        equal(registry.juryWeight(), weights, "the tree's sum");
        uint256 bonds;
        uint256 drawing;
        for (uint256 id; id < opened; ++id) {
            Disputes.Dispute memory d = disputes.disputeOf(id);
            bonds += uint256(d.bond) + d.appealBond;
            if (d.phase == Disputes.Phase.Drawing) ++drawing;
            if (d.phase == Disputes.Phase.Closed) equal(d.bond, 0, "a closed dispute's bond");
        }
        equal(token.balanceOf(address(disputes)), bonds + owed, "bonds and debts are held");
        equal(registry.drawsPending(), drawing, "frozen for each draw and no longer");
    }

    /// @dev How many disputes came to each end: unproven, upheld, overturned, incident, withheld; and
    /// how many of all ended ones were appealed, and had a jury that found no majority.
    function ends() external view returns (uint256[7] memory counts) {
        for (uint256 id; id < opened; ++id) {
            Disputes.Dispute memory d = disputes.disputeOf(id);
            if (d.phase != Disputes.Phase.Closed) continue;
            ++counts[uint256(d.verdict)];
            if (d.appellant != address(0)) ++counts[5];
            if (d.redrawn) ++counts[6];
        }
    }

    // ---- Words ----

    function staker(uint256 seed) private view returns (address) {
        return stakers[seed % STAKERS];
    }

    function freeOf(address who) private view returns (uint128) {
        (uint128 all, uint128 reserved, uint128 jury, uint128 leaving,,) = registry.stakes(who);
        return all - reserved - jury - leaving;
    }

    function closed() private view returns (uint256 count) {
        for (uint256 id; id < opened; ++id) {
            if (disputes.disputeOf(id).phase == Disputes.Phase.Closed) ++count;
        }
    }

    function inPhase(uint256 seed, Disputes.Phase phase)
        private
        view
        returns (bool any, uint256 id)
    {
        for (uint256 i; i < opened; ++i) {
            id = (seed % opened + i) % opened;
            if (disputes.disputeOf(id).phase == phase) return (true, id);
        }
    }

    /// @dev Mostly agreed, at times dissenting, at times an incident.
    function answer(uint8 kind, uint256 seed, uint256 i)
        private
        pure
        returns (Juries.Verdict, bytes32, bytes32)
    {
        uint256 choice = uint256(keccak256(abi.encode(seed, i, "answer"))) % 5 == 0 ? 4 : kind % 4;
        if (choice == 0) return (Juries.Verdict.Upheld, WRONG, ROOT);
        if (choice == 1) return (Juries.Verdict.Overturned, RIGHT, ROOT);
        if (choice == 2) return (Juries.Verdict.EngineIncident, 0, 0);
        if (choice == 3) return (Juries.Verdict.Withheld, 0, 0);
        return (Juries.Verdict.Overturned, keccak256(abi.encode(i)), ROOT);
    }
}

/// @dev `forge test` makes 256 · 128 = 32,768 calls; `FOUNDRY_PROFILE=long` makes 1,280,000.
contract StakeInvariantTest is Base {
    StakeHandler private handler;

    function setUp() external {
        handler = new StakeHandler();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    function invariant_stakes_and_bonds_are_held_and_bound_once() external view {
        handler.checkAll();
    }

    /// @dev A walk that only ever asks for what is refused would find nothing. Forty walks, drawn
    /// from a fixed seed, come to every end that a dispute has.
    function test_walks_come_to_every_end_of_a_dispute() external {
        uint256[7] memory all;
        for (uint256 walk; walk < 40; ++walk) {
            handler = new StakeHandler();
            for (uint256 i; i < 128; ++i) {
                step(uint256(keccak256(abi.encode(walk, i))));
            }
            handler.checkAll();
            uint256[7] memory counts = handler.ends();
            for (uint256 end; end < 7; ++end) {
                all[end] += counts[end];
            }
        }
        for (uint256 end; end < 7; ++end) {
            check(all[end] > 0, string.concat("never came to end ", vm.toString(end)));
        }
    }

    function step(uint256 seed) private {
        uint256 kind = seed % 15;
        uint128 amount = uint128(seed >> 8);
        seed >>= 16;
        if (kind == 0) handler.stake(seed, amount);
        else if (kind == 1) handler.requestUnstake(seed, amount);
        else if (kind == 2) handler.unstake(seed);
        else if (kind == 3) handler.reserve(seed, amount, uint64(seed));
        else if (kind == 4) handler.release(seed);
        else if (kind == 5) handler.setJuryWeight(seed, amount);
        else if (kind == 6) handler.syncJuror(seed);
        else if (kind == 7) handler.pass(seed);
        else if (kind == 8) handler.proveTwoRoots(seed);
        else if (kind == 9) handler.openDispute();
        else if (kind == 10) handler.drawJury(seed);
        else if (kind == 11) handler.commitAnswer(seed, uint8(amount));
        else if (kind == 12) handler.appeal(seed);
        else if (kind == 13) handler.execute(seed);
        else handler.withdraw(seed);
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";

import {JuryPool} from "../src/JuryPool.sol";
import {NodeKeys} from "../src/NodeKeys.sol";
import {Registry} from "../src/Registry.sol";
import {Stage} from "./Stage.sol";

/// @dev Stake, reservations, keys and the jury's pool.
contract RegistryTest is Stage {
    function setUp() external {
        stage();
    }

    // ---- Stake ----

    function test_stake_leaves_after_its_delay_and_not_while_reserved() external {
        vm.startPrank(provider);
        vm.expectPartialRevert(Registry.NotFree.selector);
        registry.requestUnstake(40_001);
        registry.requestUnstake(40_000);
        vm.expectPartialRevert(Registry.NotFree.selector);
        registry.reserve(requester, RESERVED + 1, uint64(block.timestamp + 31 days));
        vm.warp(block.timestamp + 14 days - 1);
        vm.expectPartialRevert(Registry.TooEarly.selector);
        registry.unstake();
        vm.warp(block.timestamp + 1);
        registry.unstake();
        vm.expectRevert(Registry.NothingLeaving.selector);
        registry.unstake();
        vm.stopPrank();
        equal(token.balanceOf(address(registry)), RESERVED, "the reservation stays");
        equal(registry.stakedTotal(), RESERVED, "the sum");
    }

    function test_asking_again_waits_again() external {
        vm.startPrank(provider);
        registry.requestUnstake(10);
        vm.warp(block.timestamp + 13 days);
        registry.requestUnstake(10);
        vm.warp(block.timestamp + 2 days);
        vm.expectPartialRevert(Registry.TooEarly.selector);
        registry.unstake();
        registry.cancelUnstake();
        registry.requestUnstake(40_000);
    }

    // ---- Reservations ----

    function test_a_reservation_only_grows_while_it_lives() external {
        uint64 until = uint64(block.timestamp + 30 days);
        vm.startPrank(provider);
        vm.expectPartialRevert(Registry.ReservationShrinks.selector);
        registry.reserve(requester, RESERVED - 1, until);
        vm.expectPartialRevert(Registry.ReservationShrinks.selector);
        registry.reserve(requester, RESERVED, until - 1);
        vm.expectPartialRevert(Registry.ReservationTooLong.selector);
        registry.reserve(requester, RESERVED, uint64(block.timestamp + 90 days + 1));
        vm.expectPartialRevert(Registry.ReservationOver.selector);
        registry.reserve(account("other"), 1, uint64(block.timestamp));
        vm.expectRevert(Registry.SelfReservation.selector);
        registry.reserve(provider, 1, until);
        vm.expectRevert(Registry.NoAmount.selector);
        registry.reserve(account("other"), 0, until);
        vm.expectPartialRevert(Registry.NotFree.selector);
        registry.reserve(requester, 50_001, until);
        registry.reserve(requester, 50_000, until);
        vm.expectPartialRevert(Registry.NotFree.selector);
        registry.reserve(account("other"), 1, until);
    }

    function test_a_reservation_outlasts_its_dispute_window() external {
        (,, uint64 disputableUntil) = registry.backing(provider, requester);
        equal(disputableUntil, block.timestamp + 37 days, "window");
        vm.warp(block.timestamp + 37 days - 1);
        vm.expectPartialRevert(Registry.TooEarly.selector);
        registry.release(provider, requester);
        vm.warp(block.timestamp + 1);
        registry.release(provider, requester);
        vm.expectPartialRevert(Registry.NoReservation.selector);
        registry.release(provider, requester);
        vm.prank(provider);
        registry.requestUnstake(50_000);
    }

    function test_many_reservations_at_once() external {
        address[] memory who = new address[](2);
        uint128[] memory amounts = new uint128[](2);
        (who[0], who[1], amounts[0], amounts[1]) = (account("a"), account("b"), 5, 6);
        vm.startPrank(provider);
        registry.reserveMany(who, amounts, uint64(block.timestamp + 1 days));
        (uint128 amount,,) = registry.backing(provider, who[1]);
        equal(amount, 6, "reserved");
        vm.expectRevert(Registry.LengthsDiffer.selector);
        registry.reserveMany(who, new uint128[](1), uint64(block.timestamp + 1 days));
    }

    function test_only_the_dispute_contract_takes_and_never_more_than_reserved() external {
        vm.expectPartialRevert(Registry.OnlyDisputes.selector);
        registry.slash(provider, requester, 1);
        vm.expectPartialRevert(Registry.OnlyDisputes.selector);
        registry.penalise(provider, 1);
        vm.startPrank(address(disputes));
        equal(registry.slash(provider, requester, 50_000), RESERVED, "capped");
        equal(registry.slash(provider, requester, 50_000), 0, "all gone");
        equal(registry.slash(provider, account("other"), 50_000), 0, "nothing was reserved");
        vm.stopPrank();
        equal(token.balanceOf(address(disputes)), RESERVED, "taken");
        equal(registry.stakedTotal(), token.balanceOf(address(registry)), "the sum");
    }

    function test_a_hold_keeps_a_reservation_but_not_for_ever() external {
        uint64 begin = uint64(block.timestamp);
        vm.prank(address(disputes));
        registry.hold(provider, requester, type(uint64).max);
        vm.warp(begin + 90 days - 1);
        vm.expectPartialRevert(Registry.TooEarly.selector);
        registry.release(provider, requester);
        vm.warp(begin + 90 days);
        registry.release(provider, requester);
    }

    // ---- Nodes and keys ----

    function test_a_binding_is_the_accounts_own_word() external {
        vm.expectEmit(address(registry));
        emit NodeKeys.NodeBound(
            bytes32(uint256(5)), provider, bytes32(uint256(1)), bytes32(uint256(2))
        );
        vm.prank(provider);
        registry.bindNode(bytes32(uint256(5)), bytes32(uint256(1)), bytes32(uint256(2)));
        equal(registry.nodeOf(provider), bytes32(uint256(5)), "node");
        bytes memory message = registry.bindingMessage(provider);
        equal(message.length, 15 + 8 + 20 + 20, "message");
        vm.prank(provider);
        registry.unbindNode();
        vm.expectRevert(NodeKeys.NoNode.selector);
        registry.unbindNode();
    }

    function test_a_key_lives_once() external {
        address key = account("key");
        uint64 time = uint64(block.timestamp);
        vm.startPrank(provider);
        vm.expectPartialRevert(NodeKeys.KeyExpiryOutOfRange.selector);
        registry.authoriseKey(key, time);
        vm.expectPartialRevert(NodeKeys.KeyExpiryOutOfRange.selector);
        registry.authoriseKey(key, time + 400 days + 1);
        registry.authoriseKey(key, time + 10);
        registry.authoriseKey(key, time + 20);
        vm.expectPartialRevert(NodeKeys.KeyExpiryOutOfRange.selector);
        registry.authoriseKey(key, time + 20);
        vm.warp(time + 5);
        registry.revokeKey(key);
        vm.expectPartialRevert(NodeKeys.KeyNotLive.selector);
        registry.revokeKey(key);
        vm.expectPartialRevert(NodeKeys.KeyUsedBefore.selector);
        registry.authoriseKey(key, time + 30);
    }

    /// @dev Leases issued within the key's life, by clocks that may be 3 h off; and no evidence
    /// after the window that follows its end.
    function test_a_keys_word_holds_for_leases_of_its_life() external {
        address key = account("key");
        uint64 from = uint64(block.timestamp);
        vm.prank(provider);
        registry.authoriseKey(key, from + 1 days);
        uint64[6] memory issued = [
            from - 3 hours - 1,
            from - 3 hours,
            from,
            from + 1 days,
            from + 27 hours - 1,
            from + 27 hours
        ];
        bool[6] memory expected = [false, true, true, true, true, false];
        for (uint256 i; i < issued.length; ++i) {
            bool holds = registry.isBoundBy(provider, key, issued[i] * 1000);
            check(holds == expected[i], vm.toString(i));
        }
        check(!registry.isBoundBy(requester, key, from * 1000), "another account");
        vm.warp(from + 8 days);
        check(registry.isBoundBy(provider, key, from * 1000), "within the window");
        vm.warp(from + 8 days + 1);
        check(!registry.isBoundBy(provider, key, from * 1000), "too late");
    }

    // ---- The jury's pool ----

    function testFuzz_tickets_find_their_jurors(uint256 seed) external {
        uint256 count = bounded(seed, 1, 24);
        uint128[] memory weights = new uint128[](count);
        uint128 total;
        for (uint256 i; i < count; ++i) {
            weights[i] = uint128(bounded(uint256(keccak256(abi.encode(seed, i))), 100, 1000));
            seat(i, weights[i]);
        }
        // Some change, some leave.
        for (uint256 i; i < count; i += 3) {
            weights[i] = i % 2 == 0 ? 0 : uint128(150 + i);
            vm.prank(account(jurorName(i)));
            registry.setJuryWeight(weights[i]);
        }
        for (uint256 i; i < count; ++i) {
            total += weights[i];
        }
        equal(registry.juryWeight(), total, "sum");
        if (total == 0) {
            vm.expectRevert(JuryPool.NoJurors.selector);
            registry.drawJuror(1);
            return;
        }
        uint128 ticket;
        for (uint256 i; i < count; ++i) {
            if (weights[i] == 0) continue;
            equal(registry.drawJuror(ticket), account(jurorName(i)), "first ticket");
            ticket += weights[i];
            equal(registry.drawJuror(ticket - 1), account(jurorName(i)), "last ticket");
        }
    }

    function test_the_pool_is_frozen_while_a_draw_is_pending() external {
        seat(0, 500);
        vm.prank(address(disputes));
        registry.beginDraw();
        vm.prank(account(jurorName(0)));
        vm.expectPartialRevert(JuryPool.JuryFrozen.selector);
        registry.setJuryWeight(600);
        vm.expectPartialRevert(JuryPool.JuryFrozen.selector);
        registry.syncJuror(account(jurorName(0)));
        vm.prank(address(disputes));
        registry.endDraw();
        vm.prank(account(jurorName(0)));
        registry.setJuryWeight(0);
    }

    function test_a_seat_is_backed_by_free_stake_and_kept_while_on_duty() external {
        seat(0, 500);
        address juror = account(jurorName(0));
        vm.startPrank(juror);
        vm.expectPartialRevert(Registry.BelowJuryMinimum.selector);
        registry.setJuryWeight(99);
        vm.expectPartialRevert(Registry.NotFree.selector);
        registry.setJuryWeight(5001);
        vm.expectPartialRevert(Registry.NotFree.selector);
        registry.requestUnstake(4501);
        vm.stopPrank();
        vm.prank(address(disputes));
        registry.setDuty(juror, uint64(block.timestamp + 1 days));
        vm.prank(juror);
        vm.expectPartialRevert(Registry.TooEarly.selector);
        registry.setJuryWeight(400);
        vm.prank(address(disputes));
        equal(registry.penalise(juror, 450), 450, "taken");
        registry.syncJuror(juror);
        equal(registry.juryWeight(), 0, "below the minimum: out");
        // It may have to answer in other juries yet; after its duty what is left is free.
        vm.startPrank(juror);
        vm.expectPartialRevert(Registry.TooEarly.selector);
        registry.setJuryWeight(0);
        (,,,,, uint64 dutyUntil) = registry.stakes(juror);
        vm.warp(dutyUntil);
        registry.setJuryWeight(0);
        registry.requestUnstake(4550);
        vm.stopPrank();
    }

    function test_parameters_stay_within_bounds() external {
        vm.expectPartialRevert(Ownable.OwnableUnauthorizedAccount.selector);
        registry.setDelays(14 days, 7 days, 90 days);
        vm.startPrank(account("owner"));
        uint64[3][5] memory bad = [
            [uint64(7 days), 7 days, 90 days], // stake must outlast the window
            [uint64(91 days), 7 days, 90 days],
            [uint64(14 days), 59 minutes, 90 days],
            [uint64(60 days), 31 days, 90 days],
            [uint64(14 days), 7 days, 366 days]
        ];
        for (uint256 i; i < bad.length; ++i) {
            vm.expectPartialRevert(Registry.OutOfBounds.selector);
            registry.setDelays(bad[i][0], bad[i][1], bad[i][2]);
        }
        registry.setDelays(8 days, 7 days, 1 days);
        vm.expectPartialRevert(Registry.OutOfBounds.selector);
        registry.setJuryWeightMin(0);
    }

    function seat(uint256 i, uint128 weight) private {
        staked(account(jurorName(i)), 5000);
        vm.prank(account(jurorName(i)));
        registry.setJuryWeight(weight);
    }
}

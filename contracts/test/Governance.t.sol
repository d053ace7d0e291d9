// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";

import {AyniGovernor} from "../src/AyniGovernor.sol";
import {AyniToken} from "../src/AyniToken.sol";
import {Channels} from "../src/Channels.sol";
import {Timelock} from "../src/Timelock.sol";
import {VoteToken} from "../src/VoteToken.sol";
import {Base} from "./Base.sol";

/// @dev A parameter changes by a vote and after the timelock, within its bounds, and not otherwise.
contract GovernanceTest is Base {
    VoteToken private votes;
    Timelock private timelock;
    AyniGovernor private governor;
    Channels private channels;

    function setUp() external {
        vm.warp(1_767_225_600);
        votes = new VoteToken(account("holder"), 1000e18);
        address[] memory anyone = new address[](1);
        timelock = new Timelock(2 days, new address[](0), anyone, address(this));
        governor = new AyniGovernor(votes, timelock, 1 days, 7 days, 1e18, 4);
        timelock.grantRole(timelock.PROPOSER_ROLE(), address(governor));
        timelock.grantRole(timelock.CANCELLER_ROLE(), address(governor));
        timelock.renounceRole(timelock.DEFAULT_ADMIN_ROLE(), address(this));
        channels = new Channels(address(timelock));
        vm.prank(account("holder"));
        votes.delegate(account("holder"));
        vm.warp(block.timestamp + 1);
    }

    function test_a_vote_changes_a_parameter_after_the_timelock() external {
        run(abi.encodeCall(channels.setWithdrawDelayBounds, (1 days, 7 days)), true);
        equal(channels.withdrawDelayMin(), 1 days, "changed");
    }

    function test_no_vote_passes_the_bounds_in_code() external {
        run(abi.encodeCall(channels.setWithdrawDelayBounds, (1 minutes, 7 days)), false);
        equal(channels.withdrawDelayMin(), 15 minutes, "unchanged");
    }

    function test_nobody_else_changes_anything() external {
        bytes memory call = abi.encodeCall(channels.setWithdrawDelayBounds, (1 days, 7 days));
        address[2] memory others = [account("holder"), address(governor)];
        for (uint256 i; i < others.length; ++i) {
            vm.prank(others[i]);
            (bool done, bytes memory why) = address(channels).call(call);
            check(!done && bytes4(why) == Ownable.OwnableUnauthorizedAccount.selector, "owner");
        }
        vm.prank(account("holder"));
        vm.expectRevert();
        timelock.schedule(address(channels), 0, call, 0, 0, 2 days);
    }

    function test_test_money_is_made_by_the_faucet_alone() external {
        AyniToken token = new AyniToken(account("faucet"));
        vm.expectPartialRevert(Ownable.OwnableUnauthorizedAccount.selector);
        token.mint(address(this), 1);
        vm.prank(account("faucet"));
        token.mint(address(this), 1);
        equal(token.decimals(), 6, "decimals");
    }

    function run(bytes memory call, bool passes) private {
        address[] memory targets = new address[](1);
        uint256[] memory values = new uint256[](1);
        bytes[] memory calls = new bytes[](1);
        (targets[0], calls[0]) = (address(channels), call);
        vm.prank(account("holder"));
        uint256 id = governor.propose(targets, values, calls, "bounds");
        vm.warp(block.timestamp + 1 days + 1);
        vm.prank(account("holder"));
        governor.castVote(id, 1);
        vm.warp(block.timestamp + 7 days + 1);
        bytes32 text = keccak256("bounds");
        governor.queue(targets, values, calls, text);
        vm.expectRevert();
        governor.execute(targets, values, calls, text);
        vm.warp(block.timestamp + 2 days);
        if (!passes) vm.expectRevert();
        governor.execute(targets, values, calls, text);
    }
}

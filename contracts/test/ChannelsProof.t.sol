// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Channels} from "../src/Channels.sol";
import {IBatchSettlement} from "../src/IBatchSettlement.sol";
import {FreeToken} from "./Tokens.sol";
import {Vm} from "./Vm.sol";

/// @dev Any code at the payer's key: it says yes to everything, so that the proof is about money
/// and not about signatures (which are tested elsewhere).
contract YesWallet {
    function isValidSignature(bytes32, bytes calldata) external pure returns (bytes4) {
        return 0x1626ba7e;
    }

    function run(address target, bytes calldata data) external returns (bool done) {
        (done,) = target.call(data);
    }
}

/// @title Proofs over all amounts, by symbolic execution
/// @notice `halmos --contract ChannelsProof` (see docs/contracts.md). Whatever the amounts are, a
/// claim, a settlement and a withdrawal move exactly what the books say, or nothing.
contract ChannelsProof {
    Vm private constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    Channels private channels;
    FreeToken private token;
    YesWallet private payer;
    IBatchSettlement.ChannelConfig private c;
    bytes32 private id;

    function setUp() public {
        channels = new Channels(address(0xdad));
        token = new FreeToken();
        payer = new YesWallet();
        c = IBatchSettlement.ChannelConfig({
            payer: address(payer),
            payerAuthorizer: address(0),
            receiver: address(this),
            receiverAuthorizer: address(this),
            token: address(token),
            withdrawDelay: 1 hours,
            salt: 0
        });
        id = channels.getChannelId(c);
        token.mint(address(this), type(uint128).max);
        token.approve(address(channels), type(uint256).max);
    }

    /// @dev For all deposits, ceilings and totals.
    function check_claim_and_settle(uint128 amount, uint128 ceiling, uint128 total) public {
        if (amount == 0) return;
        channels.deposit(c, amount, address(0), "");
        bool claimed = claim(ceiling, total);
        if (claimed) assert(total <= ceiling && total <= amount);
        (uint128 balance, uint128 booked) = channels.channels(id);
        assert(balance == amount);
        assert(booked == (claimed ? total : 0));
        uint256 before = token.balanceOf(address(this));
        (bool settled,) =
            address(channels).call(abi.encodeCall(channels.settle, (address(this), address(token))));
        assert(settled == (booked > 0));
        assert(token.balanceOf(address(this)) == before + booked);
        assert(token.balanceOf(address(channels)) == uint256(balance) - booked);
    }

    /// @dev For all deposits, claims and withdrawals: what was claimed stays claimable, what is left
    /// goes back, and the contract holds the difference.
    function check_withdraw(uint128 amount, uint128 total, uint128 wanted) public {
        if (amount == 0) return;
        channels.deposit(c, amount, address(0), "");
        bool asked =
            payer.run(address(channels), abi.encodeCall(channels.initiateWithdraw, (c, wanted)));
        assert(asked == (wanted > 0 && wanted <= amount));
        bool claimed = claim(total, total);
        uint256 booked = claimed ? total : 0;
        vm.warp(block.timestamp + 1 hours);
        (bool done,) = address(channels).call(abi.encodeCall(channels.finalizeWithdraw, (c)));
        assert(done == asked);
        uint256 back = token.balanceOf(address(payer));
        uint256 left = uint256(amount) - booked;
        assert(back == (!asked ? 0 : wanted < left ? wanted : left));
        (uint128 balance, uint128 now_) = channels.channels(id);
        assert(now_ == booked);
        assert(uint256(balance) + back == amount);
        assert(token.balanceOf(address(channels)) == balance);
    }

    function claim(uint128 ceiling, uint128 total) private returns (bool done) {
        IBatchSettlement.VoucherClaim[] memory claims = new IBatchSettlement.VoucherClaim[](1);
        claims[0] = IBatchSettlement.VoucherClaim(IBatchSettlement.Voucher(c, ceiling), "", total);
        (done,) = address(channels).call(abi.encodeCall(channels.claim, (claims)));
    }
}

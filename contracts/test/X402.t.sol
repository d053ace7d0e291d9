// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {AyniToken} from "../src/AyniToken.sol";
import {Channels} from "../src/Channels.sol";
import {Base} from "./Base.sol";

/// @dev What `@x402/evm` signs and encodes works here unchanged, at the address it has in code.
contract X402Test is Base {
    Channels private channels;
    AyniToken private token;
    string private json;

    function setUp() external {
        vm.chainId(31_337);
        vm.warp(1_767_225_600);
        json = vm.readFile("test/vectors/x402.json");
        channels = Channels(jsonAddress(json, ".channels"));
        token = AyniToken(jsonAddress(json, ".token"));
        // Code without storage: whoever is nobody owns both, and sets them up.
        vm.etch(address(channels), address(new Channels(address(this))).code);
        vm.etch(address(token), address(new AyniToken(address(this))).code);
        vm.prank(address(0));
        channels.setWithdrawDelayBounds(15 minutes, 30 days);
        vm.prank(address(0));
        token.mint(party("payer"), 1_000_000);
    }

    function test_its_ids_and_digests_are_ours() external {
        bytes32 id = json32(json, ".id");
        equal(abi.decode(view_("getChannelId"), (bytes32)), id, "id");
        bytes32 digest = abi.decode(view_("getVoucherDigest"), (bytes32));
        equal(digest, channels.getVoucherDigest(id, uint128(amount("ceiling"))), "voucher");
        view_("getRefundDigest");
        view_("getClaimBatchDigest");
        bytes32 typeHash = abi.decode(view_("CHANNEL_CONFIG_TYPEHASH"), (bytes32));
        equal(typeHash, channels.CHANNEL_CONFIG_TYPEHASH(), "type hash");
    }

    function test_a_channel_lives_by_its_calldata_alone() external {
        call(address(this), "deposit");
        state(1_000_000, 0);
        equal(token.balanceOf(address(channels)), 1_000_000, "deposited without the payer's gas");

        call(party("receiver"), "claim");
        state(1_000_000, 300_000);
        (uint128 claimed, uint128 settled) = abi.decode(view_("receivers"), (uint128, uint128));
        equal(claimed, 300_000, "claimed");
        equal(settled, 0, "not settled");
        // Twice is once.
        call(address(this), "claimWithSignature");
        state(1_000_000, 300_000);

        call(address(this), "settle");
        equal(token.balanceOf(party("receiver")), 300_000, "paid");
        call(address(this), "refundWithSignature");
        equal(abi.decode(view_("refundNonce"), (uint256)), 1, "nonce");
        equal(token.balanceOf(party("payer")), 200_000, "refunded");
        state(800_000, 300_000);
    }

    function test_a_withdrawal_waits_for_its_delay() external {
        call(address(this), "deposit");
        call(party("receiver"), "claim");
        call(party("payer"), "initiateWithdraw");
        (uint128 waiting, uint40 since) = abi.decode(view_("pendingWithdrawals"), (uint128, uint40));
        equal(waiting, 700_000, "announced");
        equal(since, block.timestamp, "since");
        vm.warp(block.timestamp + 86_399);
        vm.expectPartialRevert(Channels.TooEarly.selector);
        call(party("payer"), "finalizeWithdraw");
        vm.warp(block.timestamp + 1);
        call(party("payer"), "finalizeWithdraw");
        equal(token.balanceOf(party("payer")), 700_000, "withdrawn");
        state(300_000, 300_000);
    }

    function test_its_multicall_does_all_at_once() external {
        call(address(this), "deposit");
        call(address(this), "multicall");
        equal(token.balanceOf(party("receiver")), 300_000, "paid");
        equal(token.balanceOf(party("payer")), 200_000, "refunded");
        state(800_000, 300_000);
    }

    /// @dev The authorisation is for this channel: its nonce says so.
    function test_a_deposit_signed_for_one_channel_goes_to_no_other() external {
        bytes memory data = jsonBytes(json, ".calls.deposit");
        // The salt's last byte: 4 bytes selector, config words 0..6.
        data[4 + 7 * 32 - 1] ^= 0x01;
        (bool done,) = address(channels).call(data);
        check(!done, "the deposit was led astray");
    }

    function state(uint256 balance, uint256 claimed) private {
        (uint128 b, uint128 c) = abi.decode(view_("channels"), (uint128, uint128));
        equal(b, balance, "balance");
        equal(c, claimed, "totalClaimed");
    }

    function party(string memory name) private view returns (address) {
        return jsonAddress(json, string.concat(".", name));
    }

    function amount(string memory name) private view returns (uint256) {
        return jsonNumber(json, string.concat(".amounts.", name));
    }

    function call(address from, string memory name) private {
        bytes memory data = jsonBytes(json, string.concat(".calls.", name));
        vm.prank(from);
        (bool done, bytes memory why) = address(channels).call(data);
        if (done) return;
        assembly {
            revert(add(why, 0x20), mload(why))
        }
    }

    function view_(string memory name) private returns (bytes memory) {
        bytes memory data = jsonBytes(json, string.concat(".calls.", name));
        (bool done, bytes memory result) = address(channels).call(data);
        check(done, name);
        return result;
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";

import {Channels} from "../src/Channels.sol";
import {ClaimRows} from "../src/ClaimRows.sol";
import {Collect} from "../src/Collect.sol";
import {IBatchSettlement} from "../src/IBatchSettlement.sol";
import {Rows} from "./Rows.sol";
import {BlockingToken, CallingToken, FeeToken, FreeToken, LyingToken, Wallet} from "./Tokens.sol";
import {Vectors} from "./Vectors.sol";

/// @dev What channels do and refuse, with real signatures.
contract ChannelsTest is Vectors {
    Channels private channels;
    FreeToken private token;

    function setUp() external {
        vm.warp(1_767_225_600);
        channels = new Channels(account("owner"));
        token = new FreeToken();
        fund(token, account("payer"), 1_000_000);
    }

    // ---- The node's vectors ----

    function test_the_nodes_channel_id_and_vouchers_are_ours() external {
        string memory text = json();
        vm.chainId(jsonNumber(text, ".channel.chain"));
        Channels there = Channels(jsonAddress(text, ".channel.channels"));
        vm.etch(address(there), address(new Channels(address(this))).code);
        IBatchSettlement.ChannelConfig memory c = IBatchSettlement.ChannelConfig({
            payer: jsonAddress(text, ".channel.terms.payer"),
            payerAuthorizer: jsonAddress(text, ".channel.terms.payer_key"),
            receiver: jsonAddress(text, ".channel.terms.payee"),
            receiverAuthorizer: jsonAddress(text, ".channel.terms.payee_key"),
            token: jsonAddress(text, ".channel.terms.token"),
            withdrawDelay: uint40(jsonNumber(text, ".channel.terms.withdraw_delay_s")),
            salt: json32(text, ".channel.terms.salt")
        });
        bytes32 id = there.getChannelId(c);
        equal(id, json32(text, ".channel.id"), "id");
        for (uint256 i; i < 3; ++i) {
            string memory path = string.concat(".channel.vouchers[", vm.toString(i), "]");
            uint128 ceiling = uint128(jsonNumber(text, string.concat(path, ".ceiling")));
            bytes32 hash = json32(text, string.concat(path, ".hash"));
            equal(there.getVoucherDigest(id, ceiling), hash, "voucher");
        }
    }

    // ---- Paying in ----

    function test_a_deposit_opens_and_tops_up() external {
        IBatchSettlement.ChannelConfig memory c = config("payee");
        deposit(c, 100);
        deposit(c, 50);
        state(c, 150, 0);
    }

    function test_many_channels_open_with_one_pull() external {
        Channels.Opening[] memory openings = new Channels.Opening[](3);
        for (uint256 i; i < 3; ++i) {
            address payee = account(vm.toString(i));
            openings[i] = Channels.Opening(account("session"), payee, payee, uint128(10 + i));
        }
        vm.prank(account("payer"));
        channels.openMany(address(token), 1 days, bytes32(uint256(7)), openings);
        for (uint256 i; i < 3; ++i) {
            IBatchSettlement.ChannelConfig memory c = config(vm.toString(i));
            c.salt = bytes32(uint256(7));
            state(c, 10 + i, 0);
        }
        equal(token.balanceOf(address(channels)), 33, "one pull");
    }

    function test_bad_terms_are_refused() external {
        for (uint256 i; i < 9; ++i) {
            IBatchSettlement.ChannelConfig memory c = config("payee");
            bytes4 why = Channels.InvalidParty.selector;
            if (i == 0) c.payer = address(0);
            if (i == 1) c.payer = address(channels);
            if (i == 2) c.receiver = address(0);
            if (i == 3) c.receiver = address(channels);
            if (i == 4) c.receiverAuthorizer = address(0);
            if (i == 5) c.token = address(0);
            if (i >= 6) why = Channels.WithdrawDelayOutOfRange.selector;
            if (i == 6) c.withdrawDelay = 15 minutes - 1;
            if (i == 7) c.withdrawDelay = 30 days + 1;
            if (i == 8) c.withdrawDelay = 0;
            vm.prank(account("payer"));
            vm.expectPartialRevert(why);
            channels.deposit(c, 1, address(0), "");
        }
        vm.expectRevert(Channels.NoAmount.selector);
        channels.deposit(config("payee"), 0, address(0), "");
        vm.expectPartialRevert(Collect.UnknownCollector.selector);
        channels.deposit(config("payee"), 1, address(0xbad), "");
    }

    function test_tokens_that_do_not_bring_the_whole_amount_are_refused() external {
        FreeToken[2] memory bad = [FreeToken(new FeeToken()), FreeToken(new LyingToken())];
        for (uint256 i; i < 2; ++i) {
            fund(bad[i], account("payer"), 1000);
            IBatchSettlement.ChannelConfig memory c = config("payee");
            c.token = address(bad[i]);
            vm.prank(account("payer"));
            vm.expectPartialRevert(Collect.WrongAmountArrived.selector);
            channels.deposit(c, 500, address(0), "");
        }
    }

    // ---- Claiming ----

    function test_a_claim_is_exact_or_nothing() external {
        IBatchSettlement.ChannelConfig memory c = config("payee");
        deposit(c, 100);
        claimed(c, 80, 60, 60);
        claimed(c, 80, 60, 60); // twice is once
        claimed(c, 50, 40, 60); // an old voucher takes nothing back
        claimed(c, 100, 100, 100);
        refusedClaim(c, 70, 71, "session", "payee", Channels.AboveCeiling.selector);
        refusedClaim(c, 101, 101, "session", "payee", Channels.AboveBalance.selector);
        refusedClaim(c, 100, 100, "payer", "payee", Channels.BadVoucherSignature.selector);
        refusedClaim(c, 100, 100, "session", "payer", Channels.NotAllowed.selector);
        refusedClaim(c, 100, 100, "session", "stranger", Channels.NotAllowed.selector);
        vm.expectRevert(Channels.EmptyClaim.selector);
        channels.claim(new IBatchSettlement.VoucherClaim[](0));
    }

    /// @dev A voucher is for its channel, its amount, its contract and its chain.
    function test_a_voucher_for_anything_else_is_worthless() external {
        IBatchSettlement.ChannelConfig memory c = config("payee");
        deposit(c, 100);
        Channels other = new Channels(address(this));
        IBatchSettlement.ChannelConfig memory d = config("payee");
        d.salt = bytes32(uint256(1));
        uint256 key = secret("session");
        bytes32 id = channels.getChannelId(c);
        bytes[4] memory bad = [
            signed(key, channels.getVoucherDigest(id, 79)),
            signed(key, channels.getVoucherDigest(channels.getChannelId(d), 80)),
            signed(key, other.getVoucherDigest(other.getChannelId(c), 80)),
            signed(key, channels.getRefundDigest(id, 0, 80))
        ];
        for (uint256 i; i < bad.length; ++i) {
            vm.prank(account("payee"));
            vm.expectPartialRevert(Channels.BadVoucherSignature.selector);
            channels.claim(one(c, 80, 80, bad[i]));
        }
    }

    function test_a_voucher_for_another_chain_is_worthless() external {
        IBatchSettlement.ChannelConfig memory c = config("payee");
        deposit(c, 100);
        bytes memory here = voucher(c, 80);
        vm.chainId(5);
        deposit(c, 100); // the same terms are another channel there
        vm.prank(account("payee"));
        vm.expectPartialRevert(Channels.BadVoucherSignature.selector);
        channels.claim(one(c, 80, 80, here));
    }

    function test_anyone_brings_a_claim_and_the_payee_is_paid() external {
        (bytes memory rows, uint256 channelCount) = threeRows();
        vm.prank(account("watch-tower"));
        equal(channels.claimFor(rows), 60, "claimed");
        for (uint256 i; i < channelCount; ++i) {
            address payee = account(vm.toString(i));
            channels.settle(payee, address(token));
            equal(token.balanceOf(payee), 10 * (i + 1), "paid");
        }
        equal(token.balanceOf(account("watch-tower")), 0, "the tower gets nothing");
        vm.expectPartialRevert(Channels.NothingToSettle.selector);
        channels.settle(account("0"), address(token));
        equal(channels.claimFor(rows), 0, "twice is once");
    }

    function test_a_relayed_claim_pays_at_once() external {
        (bytes memory rows,) = threeRows();
        equal(channels.claimAndSettle(rows), 60, "claimed");
        equal(token.balanceOf(account("2")), 30, "paid");
        equal(channels.claimAndSettle(rows), 0, "twice is once");
        equal(token.balanceOf(account("2")), 30, "paid once");
    }

    function test_a_row_takes_no_more_than_the_deposit() external {
        IBatchSettlement.ChannelConfig memory c = config("payee");
        deposit(c, 100);
        equal(channels.claimFor(Rows.one(c, 500, voucher(c, 500))), 100, "clamped");
        state(c, 100, 100);
    }

    function test_a_bad_row_stops_no_other() external {
        (bytes memory rows,) = threeRows();
        // A bit of the first row's signature: flags and six fields, 16 bytes of ceiling.
        rows[1 + 20 * 4 + 5 + 16 + 7] ^= 0x01;
        equal(channels.claimFor(rows), 50, "the other two");
    }

    function test_rows_cut_anywhere_are_refused_or_claim_less() external {
        (bytes memory rows,) = threeRows();
        for (uint256 length; length < rows.length; length += 7) {
            bytes memory cut = new bytes(length);
            for (uint256 i; i < length; ++i) {
                cut[i] = rows[i];
            }
            try channels.claimFor(cut) returns (uint256 total) {
                check(total < 60, "a cut claim took everything");
            } catch {}
        }
        vm.expectPartialRevert(ClaimRows.MalformedRow.selector);
        channels.claimFor(abi.encodePacked(uint8(0x88), new bytes(20 + 81)));
    }

    function test_a_payee_that_can_not_be_paid_is_credited_and_stops_no_other() external {
        BlockingToken blocking = new BlockingToken();
        fund(blocking, account("payer"), 1000);
        bytes memory rows;
        IBatchSettlement.ChannelConfig memory last;
        for (uint256 i; i < 2; ++i) {
            IBatchSettlement.ChannelConfig memory c = config(vm.toString(i));
            c.token = address(blocking);
            deposit(c, 100);
            rows = Rows.append(rows, last, c, 10, voucher(c, 10));
            last = c;
        }
        blocking.block_(account("0"));
        equal(channels.claimAndSettle(rows), 20, "claimed");
        equal(blocking.balanceOf(account("1")), 10, "the other is paid");
        (uint128 credit,) = channels.receivers(account("0"), address(blocking));
        equal(credit, 10, "credited");
    }

    function test_a_contract_pays_by_its_own_signatures() external {
        Wallet wallet = new Wallet(account("session"));
        fund(token, address(wallet), 100);
        IBatchSettlement.ChannelConfig memory c = config("payee");
        (c.payer, c.payerAuthorizer) = (address(wallet), address(0));
        bytes memory data = abi.encodeCall(channels.deposit, (c, 100, address(0), ""));
        wallet.run(address(token), abi.encodeCall(token.approve, (address(channels), 100)));
        wallet.run(address(channels), data);
        bytes32 digest = channels.getVoucherDigest(channels.getChannelId(c), 40);
        bytes memory plain = signed(secret("session"), digest);
        vm.prank(account("payee"));
        vm.expectPartialRevert(Channels.BadVoucherSignature.selector);
        channels.claim(one(c, 40, 40, plain));
        vm.prank(account("payee"));
        channels.claim(one(c, 40, 40, abi.encodePacked(plain, uint8(1))));
        state(c, 100, 40);
    }

    // ---- Giving back ----

    function test_a_payee_has_the_delay_to_claim() external {
        IBatchSettlement.ChannelConfig memory c = config("payee");
        deposit(c, 100);
        vm.prank(account("payer"));
        channels.initiateWithdraw(c, 100);
        vm.warp(block.timestamp + 1 days - 1);
        vm.expectPartialRevert(Channels.TooEarly.selector);
        channels.finalizeWithdraw(c);
        channels.claimFor(Rows.one(c, 70, voucher(c, 70)));
        vm.warp(block.timestamp + 1);
        uint256 before = token.balanceOf(account("payer"));
        channels.finalizeWithdraw(c);
        equal(token.balanceOf(account("payer")) - before, 30, "what is left");
        state(c, 70, 70);
    }

    function test_a_closed_channel_is_never_revived() external {
        IBatchSettlement.ChannelConfig memory c = config("payee");
        deposit(c, 100);
        channels.claimFor(Rows.one(c, 10, voucher(c, 10)));
        withdraw(c, 90);
        check(channels.isClosed(channels.getChannelId(c)), "closed");
        vm.prank(account("payer"));
        vm.expectPartialRevert(Channels.ChannelClosed.selector);
        channels.deposit(c, 50, address(0), "");
        // An old voucher, above what was claimed, is worth nothing.
        equal(channels.claimFor(Rows.one(c, 100, voucher(c, 100))), 0, "worthless");
        state(c, 10, 10);
    }

    function test_a_part_withdrawn_leaves_the_channel_open() external {
        IBatchSettlement.ChannelConfig memory c = config("payee");
        deposit(c, 100);
        withdraw(c, 40);
        state(c, 60, 0);
        deposit(c, 5);
        state(c, 65, 0);
    }

    function test_a_stolen_session_key_can_not_put_the_payer_off() external {
        IBatchSettlement.ChannelConfig memory c = config("payee");
        deposit(c, 100);
        vm.prank(account("session"));
        channels.initiateWithdraw(c, 1);
        vm.prank(account("session"));
        vm.expectPartialRevert(Channels.WithdrawalPending.selector);
        channels.initiateWithdraw(c, 1);
        vm.prank(account("payer"));
        channels.initiateWithdraw(c, 100);
        vm.prank(account("stranger"));
        vm.expectPartialRevert(Channels.NotAllowed.selector);
        channels.initiateWithdraw(c, 1);
        vm.prank(account("payer"));
        vm.expectPartialRevert(Channels.AboveAvailable.selector);
        channels.initiateWithdraw(c, 101);
        vm.expectPartialRevert(Channels.NoWithdrawal.selector);
        channels.finalizeWithdraw(config("other"));
    }

    function test_a_refund_is_the_payees_gift() external {
        IBatchSettlement.ChannelConfig memory c = config("payee");
        deposit(c, 100);
        channels.claimFor(Rows.one(c, 30, voucher(c, 30)));
        vm.prank(account("payer"));
        vm.expectPartialRevert(Channels.NotAllowed.selector);
        channels.refund(c, 10);
        vm.prank(account("payee"));
        channels.refund(c, 1000);
        state(c, 30, 30);
        vm.prank(account("payee"));
        vm.expectRevert(Channels.NoAmount.selector);
        channels.refund(c, 1);
    }

    function test_a_signed_refund_holds_once() external {
        IBatchSettlement.ChannelConfig memory c = config("payee");
        deposit(c, 100);
        bytes32 id = channels.getChannelId(c);
        bytes memory s = signed(secret("payee"), channels.getRefundDigest(id, 0, 10));
        vm.expectRevert(Channels.BadAuthorizerSignature.selector);
        channels.refundWithSignature(c, 11, 0, s);
        channels.refundWithSignature(c, 10, 0, s);
        vm.expectPartialRevert(Channels.BadRefundNonce.selector);
        channels.refundWithSignature(c, 10, 0, s);
        state(c, 90, 0);
    }

    // ---- Reentrancy, the owner ----

    function test_a_token_that_calls_back_is_refused() external {
        CallingToken calling = new CallingToken();
        fund(calling, account("payer"), 100);
        IBatchSettlement.ChannelConfig memory c = config("payee");
        c.token = address(calling);
        deposit(c, 100);
        bytes memory rows = Rows.one(c, 40, voucher(c, 40));
        bytes[3] memory calls = [
            abi.encodeCall(channels.claimAndSettle, (rows)),
            abi.encodeCall(channels.settle, (account("payee"), address(calling))),
            abi.encodeCall(channels.finalizeWithdraw, (c))
        ];
        channels.claimFor(rows);
        for (uint256 i; i < calls.length; ++i) {
            calling.callBack(address(channels), calls[i]);
            vm.prank(account("payee"));
            channels.refund(c, 1);
            check(calling.refused(), "it came back in");
        }
        equal(calling.balanceOf(account("payee")), 0, "nothing was paid twice");
    }

    function test_only_the_owner_sets_bounds_and_only_within_bounds() external {
        vm.expectPartialRevert(Ownable.OwnableUnauthorizedAccount.selector);
        channels.setWithdrawDelayBounds(1 days, 2 days);
        vm.startPrank(account("owner"));
        vm.expectPartialRevert(Channels.WithdrawDelayOutOfRange.selector);
        channels.setWithdrawDelayBounds(15 minutes - 1, 2 days);
        vm.expectPartialRevert(Channels.WithdrawDelayOutOfRange.selector);
        channels.setWithdrawDelayBounds(1 days, 30 days + 1);
        vm.expectPartialRevert(Channels.WithdrawDelayOutOfRange.selector);
        channels.setWithdrawDelayBounds(2 days, 1 days);
        channels.setWithdrawDelayBounds(2 days, 3 days);
        vm.stopPrank();
        vm.prank(account("payer"));
        vm.expectPartialRevert(Channels.WithdrawDelayOutOfRange.selector);
        channels.deposit(config("payee"), 1, address(0), "");
    }

    function testFuzz_no_claim_pays_more_than_ceiling_or_deposit(
        uint128 deposited,
        uint128 ceiling,
        uint128 total
    ) external {
        deposited = uint128(bounded(deposited, 1, 1_000_000));
        IBatchSettlement.ChannelConfig memory c = config("payee");
        deposit(c, deposited);
        bytes memory s = voucher(c, ceiling);
        vm.prank(account("payee"));
        try channels.claim(one(c, ceiling, total, s)) {
            check(total <= ceiling && total <= deposited, "claimed too much");
            state(c, deposited, total);
        } catch {
            check(total > ceiling || total > deposited, "refused for nothing");
        }
        uint256 most = ceiling < deposited ? ceiling : deposited;
        channels.claimFor(Rows.one(c, ceiling, s));
        (, uint128 claimed_) = channels.channels(channels.getChannelId(c));
        equal(claimed_, most, "a relayed claim takes the ceiling");
    }

    // ---- Words of these tests ----

    function config(string memory payee)
        private
        view
        returns (IBatchSettlement.ChannelConfig memory)
    {
        return IBatchSettlement.ChannelConfig({
            payer: account("payer"),
            payerAuthorizer: account("session"),
            receiver: account(payee),
            receiverAuthorizer: account(payee),
            token: address(token),
            withdrawDelay: 1 days,
            salt: 0
        });
    }

    function fund(FreeToken what, address payer, uint256 amount) private {
        what.mint(payer, amount);
        vm.prank(payer);
        what.approve(address(channels), type(uint256).max);
    }

    function deposit(IBatchSettlement.ChannelConfig memory c, uint128 amount) private {
        vm.prank(c.payer);
        channels.deposit(c, amount, address(0), "");
    }

    function withdraw(IBatchSettlement.ChannelConfig memory c, uint128 amount) private {
        vm.prank(c.payer);
        channels.initiateWithdraw(c, amount);
        vm.warp(block.timestamp + c.withdrawDelay);
        channels.finalizeWithdraw(c);
    }

    function voucher(IBatchSettlement.ChannelConfig memory c, uint128 ceiling)
        private
        view
        returns (bytes memory)
    {
        bytes32 digest = channels.getVoucherDigest(channels.getChannelId(c), ceiling);
        return signed(secret("session"), digest);
    }

    function one(
        IBatchSettlement.ChannelConfig memory c,
        uint128 ceiling,
        uint128 total,
        bytes memory signature
    ) private pure returns (IBatchSettlement.VoucherClaim[] memory claims) {
        claims = new IBatchSettlement.VoucherClaim[](1);
        claims[0] =
            IBatchSettlement.VoucherClaim(IBatchSettlement.Voucher(c, ceiling), signature, total);
    }

    function claimed(
        IBatchSettlement.ChannelConfig memory c,
        uint128 ceiling,
        uint128 total,
        uint256 after_
    ) private {
        IBatchSettlement.VoucherClaim[] memory claims = one(c, ceiling, total, voucher(c, ceiling));
        vm.prank(account("payee"));
        channels.claim(claims);
        state(c, 100, after_);
    }

    function refusedClaim(
        IBatchSettlement.ChannelConfig memory c,
        uint128 ceiling,
        uint128 total,
        string memory key,
        string memory caller,
        bytes4 why
    ) private {
        bytes32 digest = channels.getVoucherDigest(channels.getChannelId(c), ceiling);
        bytes memory s = signed(secret(key), digest);
        vm.prank(account(caller));
        vm.expectPartialRevert(why);
        channels.claim(one(c, ceiling, total, s));
    }

    /// @dev Three channels of one payer with 100 each; vouchers for 10, 20 and 30.
    function threeRows() private returns (bytes memory rows, uint256 count) {
        IBatchSettlement.ChannelConfig memory last;
        for (uint128 i; i < 3; ++i) {
            IBatchSettlement.ChannelConfig memory c = config(vm.toString(i));
            deposit(c, 100);
            rows = Rows.append(rows, last, c, 10 * (i + 1), voucher(c, 10 * (i + 1)));
            last = c;
        }
        return (rows, 3);
    }

    function state(IBatchSettlement.ChannelConfig memory c, uint256 balance, uint256 claimed_)
        private
        view
    {
        (uint128 b, uint128 t) = channels.channels(channels.getChannelId(c));
        equal(b, balance, "balance");
        equal(t, claimed_, "claimed");
    }
}

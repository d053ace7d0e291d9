// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Channels} from "../src/Channels.sol";
import {IBatchSettlement} from "../src/IBatchSettlement.sol";
import {Base} from "./Base.sol";
import {Rows} from "./Rows.sol";
import {FreeToken} from "./Tokens.sol";

/// @dev Does at random what payers, payees and strangers can do, and writes down what was paid.
contract ChannelsHandler is Base {
    uint256 public constant CHANNELS = 12; // 2 payers, 3 payees, 2 tokens

    Channels public immutable channels = new Channels(address(this));
    FreeToken[2] public tokens = [new FreeToken(), new FreeToken()];

    mapping(uint256 token => uint256) public paidIn;
    mapping(uint256 token => uint256) public paidOut; // to payees
    mapping(uint256 token => uint256) public givenBack; // to payers
    mapping(bytes32 id => uint128) public ceilingMax; // highest voucher that was ever used
    mapping(bytes32 id => uint128) public claimedBefore;
    mapping(bytes32 id => uint128) public balanceAtClose;
    /// @dev Worked out once: deriving addresses is what takes time.
    bytes32[CHANNELS] public ids;
    address[2] private sessions = [vm.addr(key(0)), vm.addr(key(1))];

    constructor() {
        vm.warp(1_767_225_600);
        for (uint256 i; i < 2; ++i) {
            for (uint256 t; t < 2; ++t) {
                tokens[t].mint(payer(i), 1e30);
                vm.prank(payer(i));
                tokens[t].approve(address(channels), type(uint256).max);
            }
        }
        for (uint256 i; i < CHANNELS; ++i) {
            ids[i] = channels.getChannelId(config(i & 1, i >> 1 & 1, (i >> 2) % 3));
        }
    }

    function deposit(uint256 seed, uint128 amount) external count {
        (IBatchSettlement.ChannelConfig memory c, bytes32 id) = pick(seed);
        if (channels.isClosed(id)) return refusedDeposit(c);
        amount = uint128(bounded(amount, 1, 1e12));
        vm.prank(c.payer);
        channels.deposit(c, amount, address(0), "");
        paidIn[seed & 1] += amount;
    }

    function openMany(uint256 seed, uint128 amount) external count {
        Channels.Opening[] memory openings = new Channels.Opening[](3);
        amount = uint128(bounded(amount, 1, 1e12));
        uint256 token = seed & 1;
        uint256 who = seed >> 1 & 1;
        uint256 sum;
        for (uint256 i; i < 3; ++i) {
            openings[i] = Channels.Opening(sessions[who], payee(i), payee(i), amount + uint128(i));
            sum += openings[i].amount;
            if (channels.isClosed(channels.getChannelId(config(token, who, i)))) return;
        }
        vm.prank(payer(who));
        channels.openMany(address(tokens[token]), 1 hours, 0, openings);
        paidIn[token] += sum;
    }

    function claim(uint256 seed, uint128 ceiling, uint128 total) external count {
        (IBatchSettlement.ChannelConfig memory c, bytes32 id) = pick(seed);
        (uint128 balance,) = channels.channels(id);
        total = uint128(bounded(total, 0, balance));
        ceiling = uint128(bounded(ceiling, total, 2e12 + uint256(total)));
        IBatchSettlement.VoucherClaim[] memory claims = new IBatchSettlement.VoucherClaim[](1);
        claims[0] = IBatchSettlement.VoucherClaim(
            IBatchSettlement.Voucher(c, ceiling), voucher(seed, id, ceiling), total
        );
        used(id, ceiling);
        vm.prank(c.receiver);
        channels.claim(claims);
    }

    function claimFor(uint256 seed, uint128 ceiling, bool settle_) external count {
        bytes memory rows;
        IBatchSettlement.ChannelConfig memory last;
        for (uint256 i; i < 3; ++i) {
            uint256 other = uint256(keccak256(abi.encode(seed, i)));
            (IBatchSettlement.ChannelConfig memory c, bytes32 id) = pick(other);
            uint128 top = uint128(bounded(uint256(ceiling) * (i + 1), 0, 3e12));
            used(id, top);
            rows = Rows.append(rows, last, c, top, voucher(other, id, top));
            last = c;
        }
        uint256[2] memory before = [held(0), held(1)];
        if (settle_) channels.claimAndSettle(rows);
        else channels.claimFor(rows);
        for (uint256 t; t < 2; ++t) {
            paidOut[t] += before[t] - held(t);
        }
    }

    /// @dev A voucher of somebody else's never does anything.
    function forge(uint256 seed, uint128 ceiling) external count {
        (IBatchSettlement.ChannelConfig memory c, bytes32 id) = pick(seed);
        bytes memory s = signed(secret("thief"), channels.getVoucherDigest(id, ceiling));
        check(channels.claimFor(Rows.one(c, ceiling, s)) == 0, "a forged voucher was paid");
    }

    function settle(uint256 seed) external count {
        (IBatchSettlement.ChannelConfig memory c,) = pick(seed);
        (uint128 claimed, uint128 settled) = channels.receivers(c.receiver, c.token);
        if (claimed == settled) return;
        uint256 before = held(seed & 1);
        channels.settle(c.receiver, c.token);
        paidOut[seed & 1] += before - held(seed & 1);
    }

    function initiateWithdraw(uint256 seed, uint128 amount) external count {
        (IBatchSettlement.ChannelConfig memory c, bytes32 id) = pick(seed);
        (uint128 balance, uint128 claimed) = channels.channels(id);
        if (balance == claimed) return;
        vm.prank(c.payer);
        channels.initiateWithdraw(c, uint128(bounded(amount, 1, balance - claimed)));
    }

    function finalizeWithdraw(uint256 seed, uint256 wait) external count {
        (IBatchSettlement.ChannelConfig memory c, bytes32 id) = pick(seed);
        (, uint40 since) = channels.pendingWithdrawals(id);
        if (since == 0) return;
        vm.warp(block.timestamp + bounded(wait, 0, 2 hours));
        if (block.timestamp < since + 1 hours) return;
        uint256 before = held(seed & 1);
        channels.finalizeWithdraw(c);
        givenBack[seed & 1] += before - held(seed & 1);
        (balanceAtClose[id],) = channels.channels(id);
    }

    function refund(uint256 seed, uint128 amount) external count {
        (IBatchSettlement.ChannelConfig memory c, bytes32 id) = pick(seed);
        (uint128 balance, uint128 claimed) = channels.channels(id);
        if (balance == claimed) return;
        uint256 before = held(seed & 1);
        vm.prank(c.receiver);
        channels.refund(c, uint128(bounded(amount, 1, 1e13)));
        givenBack[seed & 1] += before - held(seed & 1);
    }

    // ---- Words ----

    function pick(uint256 seed)
        public
        view
        returns (IBatchSettlement.ChannelConfig memory c, bytes32 id)
    {
        (uint256 token, uint256 who, uint256 to) = (seed & 1, seed >> 1 & 1, (seed >> 2) % 3);
        return (config(token, who, to), ids[token + 2 * who + 4 * to]);
    }

    function config(uint256 token, uint256 who, uint256 to)
        private
        view
        returns (IBatchSettlement.ChannelConfig memory)
    {
        return IBatchSettlement.ChannelConfig(
            payer(who), sessions[who], payee(to), payee(to), address(tokens[token]), 1 hours, 0
        );
    }

    function held(uint256 token) public view returns (uint256) {
        return tokens[token].balanceOf(address(channels));
    }

    function payer(uint256 i) private pure returns (address) {
        return address(uint160(0x1000 + i));
    }

    function payee(uint256 i) public pure returns (address) {
        return address(uint160(0x2000 + i));
    }

    function key(uint256 who) private pure returns (uint256) {
        return 77 + who;
    }

    function voucher(uint256 seed, bytes32 id, uint128 ceiling)
        private
        view
        returns (bytes memory)
    {
        return signed(key(seed >> 1 & 1), channels.getVoucherDigest(id, ceiling));
    }

    function used(bytes32 id, uint128 ceiling) private {
        if (ceiling > ceilingMax[id]) ceilingMax[id] = ceiling;
    }

    function refusedDeposit(IBatchSettlement.ChannelConfig memory c) private {
        vm.prank(c.payer);
        vm.expectPartialRevert(Channels.ChannelClosed.selector);
        channels.deposit(c, 1, address(0), "");
    }

    /// @dev After each call: what was claimed never fell, nothing above a ceiling, nothing revived.
    modifier count() {
        _;
        for (uint256 i; i < CHANNELS; ++i) {
            bytes32 id = ids[i];
            (uint128 balance, uint128 claimed) = channels.channels(id);
            check(claimed >= claimedBefore[id], "what was claimed fell");
            check(claimed <= ceilingMax[id], "more than any voucher");
            check(claimed <= balance, "more than the deposit");
            if (channels.isClosed(id)) check(balance == balanceAtClose[id], "a slot revived");
            claimedBefore[id] = claimed;
        }
    }
}

/// @dev `forge test` makes 256 · 128 = 32,768 calls; `FOUNDRY_PROFILE=long` makes 1,280,000.
contract ChannelsInvariantTest is Base {
    ChannelsHandler private handler;

    function setUp() external {
        handler = new ChannelsHandler();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    function invariant_money_is_conserved() external view {
        for (uint256 t; t < 2; ++t) {
            uint256 due;
            for (uint256 i; i < handler.CHANNELS(); ++i) {
                if (i & 1 != t) continue;
                (uint128 balance, uint128 claimed) = handler.channels().channels(handler.ids(i));
                due += balance - claimed;
            }
            address token = address(handler.tokens(t));
            for (uint256 i; i < 3; ++i) {
                (uint128 claimed, uint128 settled) =
                    handler.channels().receivers(handler.payee(i), token);
                due += claimed - settled;
            }
            equal(handler.held(t), due, "held is due");
            uint256 flow = handler.paidIn(t) - handler.paidOut(t) - handler.givenBack(t);
            equal(handler.held(t), flow, "in less out is held");
        }
    }
}

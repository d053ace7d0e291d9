// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {AyniToken} from "../src/AyniToken.sol";
import {Channels} from "../src/Channels.sol";
import {IBatchSettlement} from "../src/IBatchSettlement.sol";
import {Base} from "../test/Base.sol";
import {Rows} from "../test/Rows.sol";
import {Escrow} from "./Escrow.sol";

/// @title What paying for tasks costs in gas, as whole transactions
/// @notice `forge test --isolate --match-path 'gas/*' -vv` prints the table: every call is a
/// transaction of its own, with its 21,000, its calldata and its refunds. One requester, 100
/// providers who hold the token already.
contract GasTest is Base {
    uint256 private constant PROVIDERS = 100;
    uint128 private constant PRICE = 1000;
    /// @dev What a task may cost at 10,000 tasks.
    uint256 private constant BAR = 750;

    AyniToken private token = new AyniToken(address(this));
    Channels private channels = new Channels(address(this));
    Escrow private escrow = new Escrow(token);
    address private payer = account("payer");
    address[PROVIDERS] private payees;

    function setUp() external {
        vm.warp(1_767_225_600);
        token.mint(payer, 1e18);
        for (uint256 i; i < PROVIDERS; ++i) {
            payees[i] = vm.addr(1000 + i);
            token.mint(payees[i], 1);
        }
        vm.startPrank(payer);
        token.approve(address(channels), type(uint256).max);
        token.approve(address(escrow), type(uint256).max);
        vm.stopPrank();
    }

    function test_gas() external {
        // Ours.
        uint256 openOne = open(0, 1);
        uint256 claimOne = claimRelayed(0, 1, 1);
        uint256 openMany = open(1, PROVIDERS);
        uint256 claimMany = claimRelayed(1, PROVIDERS, 1);
        uint256 again = claimRelayed(1, PROVIDERS, 2);
        uint256 bySettle = open(2, PROVIDERS);
        bySettle += claimAndSettleApart(2);
        uint256 gasless = depositByAuthorization();
        // Others, each measured for one task and counted for each.
        uint256 escrowed = escrowTask();
        uint256 exact = exactTask();

        line("gas of whole transactions, execution layer");
        row("openMany, 1 channel", openOne, 1);
        row("openMany, 100 channels, per channel", openMany, PROVIDERS);
        row("deposit by EIP-3009, payer pays no gas", gasless, 1);
        row("claimAndSettle, 1 voucher", claimOne, 1);
        row("claimAndSettle, 100 vouchers, per voucher", claimMany, PROVIDERS);
        row("claimAndSettle, 100 again, per voucher", again, PROVIDERS);
        row("claimFor of 100 and settle each, with openMany, per channel", bySettle, PROVIDERS);
        row("escrow, open and release", escrowed, 1);
        row("x402 exact (EIP-3009 for each task)", exact, 1);
        line("");
        line("per task, 100 providers: tasks | ours | escrow | x402 exact");
        uint256 ours = openMany + claimMany;
        tasks(1, openOne + claimOne, escrowed, exact);
        tasks(100, ours, escrowed, exact);
        tasks(10_000, ours, escrowed, exact);
        check(ours / 10_000 <= BAR, "more than 750 gas per task at 10,000 tasks");
    }

    // ---- Ours ----

    function open(uint256 salt, uint256 count) private returns (uint256) {
        Channels.Opening[] memory openings = new Channels.Opening[](count);
        for (uint256 i; i < count; ++i) {
            // A session key for each channel.
            openings[i] = Channels.Opening(vm.addr(key(salt, i)), payees[i], payees[i], 100 * PRICE);
        }
        vm.prank(payer);
        channels.openMany(address(token), 1 days, bytes32(salt), openings);
        return used();
    }

    function claimRelayed(uint256 salt, uint256 count, uint128 times) private returns (uint256) {
        bytes memory rows = packed(salt, count, times);
        vm.prank(account("relayer"));
        uint256 total = channels.claimAndSettle(rows);
        uint256 gas = used();
        equal(total, count * PRICE, "all claimed");
        return gas;
    }

    function claimAndSettleApart(uint256 salt) private returns (uint256 gas) {
        bytes memory rows = packed(salt, PROVIDERS, 1);
        vm.prank(account("relayer"));
        uint256 total = channels.claimFor(rows);
        gas = used();
        equal(total, PROVIDERS * PRICE, "all claimed");
        for (uint256 i; i < PROVIDERS; ++i) {
            channels.settle(payees[i], address(token));
            gas += used();
        }
    }

    function packed(uint256 salt, uint256 count, uint128 times)
        private
        view
        returns (bytes memory rows)
    {
        IBatchSettlement.ChannelConfig memory last;
        for (uint256 i; i < count; ++i) {
            IBatchSettlement.ChannelConfig memory c = config(salt, i);
            bytes32 digest = channels.getVoucherDigest(channels.getChannelId(c), times * PRICE);
            rows = Rows.append(rows, last, c, times * PRICE, signed(key(salt, i), digest));
            last = c;
        }
    }

    function depositByAuthorization() private returns (uint256) {
        IBatchSettlement.ChannelConfig memory c = config(3, 0);
        bytes32 nonce = keccak256(abi.encode(channels.getChannelId(c), uint256(1)));
        bytes memory s = authorization("Receive", address(channels), 5000, nonce);
        bytes memory data = abi.encode(uint256(0), uint256(4e9), uint256(1), s);
        vm.prank(account("relayer"));
        channels.deposit(c, 5000, address(channels), data);
        return used();
    }

    function config(uint256 salt, uint256 i)
        private
        view
        returns (IBatchSettlement.ChannelConfig memory)
    {
        return IBatchSettlement.ChannelConfig(
            payer,
            vm.addr(key(salt, i)),
            payees[i],
            payees[i],
            address(token),
            1 days,
            bytes32(salt)
        );
    }

    function key(uint256 salt, uint256 i) private pure returns (uint256) {
        return 5000 + salt * 1000 + i;
    }

    // ---- Others ----

    function escrowTask() private returns (uint256 gas) {
        for (uint256 i; i < 2; ++i) {
            vm.prank(payer);
            uint256 id = escrow.open(payees[i], uint96(PRICE), uint96(block.timestamp + 1 days));
            gas = used();
            vm.prank(payer);
            escrow.release(id);
            gas += used();
        }
        // The second one: the contract's counters are warm in storage.
    }

    function exactTask() private returns (uint256) {
        bytes32 nonce = keccak256("task");
        bytes memory s = authorization("Transfer", payees[0], PRICE, nonce);
        (bytes32 r, bytes32 ss, uint8 v) = split(s);
        vm.prank(account("relayer"));
        token.transferWithAuthorization(payer, payees[0], PRICE, 0, 4e9, nonce, v, r, ss);
        return used();
    }

    function authorization(string memory kind, address to, uint256 value, bytes32 nonce)
        private
        view
        returns (bytes memory)
    {
        bytes32 typeHash = keccak256(
            abi.encodePacked(
                kind,
                "WithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
            )
        );
        bytes32 body = keccak256(abi.encode(typeHash, payer, to, value, 0, uint256(4e9), nonce));
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", token.DOMAIN_SEPARATOR(), body));
        return signed(secret("payer"), digest);
    }

    function split(bytes memory s) private pure returns (bytes32 r, bytes32 ss, uint8 v) {
        assembly {
            r := mload(add(s, 0x20))
            ss := mload(add(s, 0x40))
            v := byte(0, mload(add(s, 0x60)))
        }
    }

    // ---- Printing ----

    function used() private view returns (uint256) {
        return vm.lastCallGas().gasTotalUsed;
    }

    function row(string memory what, uint256 gas, uint256 over) private view {
        line(string.concat("  ", what, ": ", vm.toString(gas / over)));
    }

    function tasks(uint256 count, uint256 ours, uint256 escrowed, uint256 exact) private view {
        string memory text = string.concat("  ", vm.toString(count), " | ");
        text = string.concat(text, vm.toString(ours / count), " | ", vm.toString(escrowed));
        line(string.concat(text, " | ", vm.toString(exact)));
    }

    function line(string memory text) private view {
        address console = 0x000000000000000000636F6e736F6c652e6c6f67;
        (bool done,) = console.staticcall(abi.encodeWithSignature("log(string)", text));
        done;
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {DisputeTerms} from "../src/DisputeTerms.sol";
import {Disputes} from "../src/Disputes.sol";
import {Juries} from "../src/Juries.sol";
import {Receipts} from "../src/Receipts.sol";
import {Registry} from "../src/Registry.sol";
import {FreeToken} from "./Tokens.sol";
import {Vectors} from "./Vectors.sol";

/// @dev A provider with stake, a requester with a reservation, nine jurors, and receipts signed with
/// real keys.
abstract contract Stage is Vectors {
    uint256 internal constant BATCH_KEY =
        uint256(bytes32(hex"0303030303030303030303030303030303030303030303030303030303030303"));
    uint128 internal constant RESERVED = 10_000;
    uint128 internal constant PRICE = 700;
    bytes32 internal constant WRONG = keccak256("wrong");
    bytes32 internal constant RIGHT = keccak256("right");
    bytes32 internal constant ROOT = keccak256("state");

    FreeToken internal token;
    Registry internal registry;
    Disputes internal disputes;
    address internal provider = account("provider");
    address internal requester = account("requester");

    function usualTerms() internal pure returns (DisputeTerms.Terms memory) {
        return DisputeTerms.Terms({
            jurorFee: 100,
            incidentFee: 40,
            defenceFee: 150,
            challengerReward: 500,
            commitWindow: 1 hours,
            revealWindow: 1 hours,
            appealWindow: 1 days,
            slashBps: 10_000,
            equivocationBps: 10_000,
            absenceBps: 500,
            jurySize: 3,
            seedDelay: 4
        });
    }

    function stage() internal {
        vm.warp(1_767_225_600);
        vm.roll(1000);
        token = new FreeToken();
        registry = new Registry(token, 100, account("owner"));
        disputes = new Disputes(registry, usualTerms(), account("owner"));
        vm.prank(account("owner"));
        registry.setDisputes(address(disputes));
        staked(provider, 50_000);
        vm.prank(provider);
        registry.reserve(requester, RESERVED, uint64(block.timestamp + 30 days));
        vm.prank(provider);
        registry.authoriseKey(vm.addr(BATCH_KEY), uint64(block.timestamp + 60 days));
        fund(requester);
        fund(provider);
    }

    function staked(address who, uint128 amount) internal {
        fund(who);
        vm.prank(who);
        token.approve(address(registry), type(uint256).max);
        vm.prank(who);
        registry.stake(who, amount);
    }

    function fund(address who) internal {
        token.mint(who, 1_000_000);
        vm.prank(who);
        token.approve(address(disputes), type(uint256).max);
    }

    function jurors(uint256 count) internal {
        for (uint256 i; i < count; ++i) {
            address juror = account(jurorName(i));
            staked(juror, 5000);
            vm.prank(juror);
            registry.setJuryWeight(2000);
        }
    }

    function jurorName(uint256 i) internal pure returns (string memory) {
        return string.concat("juror ", vm.toString(i));
    }

    // ---- Evidence ----

    function lease() internal view returns (bytes16) {
        return bytes16(uint128(block.timestamp * 1000) << 80 | 77);
    }

    function backing(bytes16 lease_, address for_) internal view returns (bytes memory) {
        return signed(BATCH_KEY, disputes.backingDigest(lease_, for_));
    }

    function headerOf(bytes16 lease_, uint32 count, bytes32 root)
        internal
        pure
        returns (Disputes.SignedHeader memory h)
    {
        h.header = Receipts.Header(lease_, 9, count, root);
        h.signature = signed(BATCH_KEY, Receipts.batchHash(h.header));
    }

    /// @dev A batch of two receipts, of which the first has the disputed outcome.
    function evidence() internal view returns (Disputes.Evidence memory e) {
        bytes16 id = lease();
        Receipts.Receipt memory r =
            Receipts.Receipt(id, 9, 0, 100, keccak256("task"), WRONG, 5, 6, 7, PRICE);
        e.provider = provider;
        e.receipt = r;
        bytes32 first = Receipts.leaf(r);
        bytes32 second = keccak256("another receipt");
        e.proof = new bytes32[](1);
        e.proof[0] = second;
        bytes32 root = first < second
            ? keccak256(abi.encode(first, second))
            : keccak256(abi.encode(second, first));
        Disputes.SignedHeader memory h = headerOf(id, 2, root);
        (e.header, e.signature) = (h.header, h.signature);
        e.backing = backing(id, requester);
    }

    // ---- A dispute's way ----

    function open() internal returns (uint256 id) {
        Disputes.Evidence memory e = evidence();
        vm.prank(requester);
        return disputes.openDispute(e, RIGHT);
    }

    /// @dev Goes to the block after the seed's and draws.
    function draw(uint256 id) internal returns (address[] memory members) {
        uint256 jury = disputes.juryCount(id) - 1;
        uint256 seedBlock = disputes.juryOf(id, jury).seedBlock;
        vm.roll(seedBlock + 1);
        vm.setBlockhash(seedBlock, keccak256(abi.encode("block", seedBlock)));
        disputes.draw(id);
        if (disputes.juryCount(id) - 1 != jury) return members;
        return disputes.juryOf(id, jury).members;
    }

    function commitAs(
        uint256 id,
        address juror,
        Juries.Verdict verdict,
        bytes32 outcome,
        bytes32 stateRoot
    ) internal {
        bytes32 c = disputes.commitmentOf(
            id, disputes.juryCount(id) - 1, juror, verdict, outcome, stateRoot, saltOf(juror)
        );
        vm.prank(juror);
        disputes.commit(id, c);
    }

    function revealAs(
        uint256 id,
        address juror,
        Juries.Verdict verdict,
        bytes32 outcome,
        bytes32 stateRoot
    ) internal {
        bytes32 salt = saltOf(juror);
        vm.prank(juror);
        disputes.reveal(id, verdict, outcome, stateRoot, salt);
    }

    function saltOf(address juror) internal pure returns (bytes32) {
        return keccak256(abi.encode("salt", juror));
    }

    /// @dev All members answer alike.
    function allAnswer(
        uint256 id,
        address[] memory members,
        Juries.Verdict verdict,
        bytes32 outcome,
        bytes32 stateRoot
    ) internal {
        for (uint256 i; i < members.length; ++i) {
            commitAs(id, members[i], verdict, outcome, stateRoot);
        }
        for (uint256 i; i < members.length; ++i) {
            revealAs(id, members[i], verdict, outcome, stateRoot);
        }
        disputes.tally(id);
    }

    function finish(uint256 id) internal {
        vm.warp(block.timestamp + 2 days);
        disputes.execute(id);
    }

    /// @dev Everything the dispute contract holds is a bond or owed; the caller names all accounts.
    function solvent(uint256 bonds) internal view {
        uint256 sum = bonds + disputes.owed(provider) + disputes.owed(requester);
        for (uint256 i; i < 20; ++i) {
            sum += disputes.owed(account(jurorName(i)));
        }
        equal(token.balanceOf(address(disputes)), sum, "bonds and debts");
        equal(token.balanceOf(address(registry)), registry.stakedTotal(), "stakes");
    }
}

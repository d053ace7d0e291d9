// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Receipts} from "../src/Receipts.sol";
import {Base} from "./Base.sol";
import {Vectors} from "./Vectors.sol";

/// @dev The library behind a call, so that its refusals can be seen.
contract Checker {
    function check(
        Receipts.Receipt memory receipt,
        bytes32[] memory proof,
        Receipts.Header memory header,
        bytes memory signature
    ) external pure returns (address) {
        return Receipts.check(receipt, proof, header, signature);
    }

    function signer(Receipts.Header memory header, bytes memory signature)
        external
        pure
        returns (address)
    {
        return Receipts.signer(header, signature);
    }
}

/// @dev What the node's own code made is checked, and nothing else passes.
contract ReceiptsTest is Base, Vectors {
    Checker private checker = new Checker();

    function test_every_receipt_of_every_batch_of_the_node_is_checked() external view {
        address key = jsonAddress(json(), ".signer");
        uint256[4] memory counts = [uint256(1), 2, 5, 9];
        for (uint256 batch; batch < counts.length; ++batch) {
            for (uint256 index; index < counts[batch]; ++index) {
                Statement memory s = statement(batch, index);
                equal(s.header.count, counts[batch], "count");
                equal(Receipts.leaf(s.receipt), s.leaf, "leaf");
                equal(Receipts.batchHash(s.header), s.hash, "hash");
                address found = checker.check(s.receipt, s.proof, s.header, s.signature);
                equal(found, key, "signer");
            }
        }
    }

    /// @dev For each field: its lowest bit flipped. Of the receipt's and the proof's, nothing passes;
    /// of the header's, not with the node's signature.
    function test_every_field_flipped_is_refused() external {
        for (uint256 field; field < 10; ++field) {
            Statement memory s = statement(2, 3);
            Receipts.Receipt memory r = s.receipt;
            if (field == 0) r.lease ^= bytes16(uint128(1));
            if (field == 1) r.batch ^= 1;
            if (field == 2) r.index ^= 1;
            if (field == 3) r.assignment ^= 1;
            if (field == 4) r.task ^= bytes32(uint256(1));
            if (field == 5) r.outcome ^= bytes32(uint256(1));
            if (field == 6) r.fuel ^= 1;
            if (field == 7) r.codeBytes ^= 1;
            if (field == 8) r.dataBytes ^= 1;
            if (field == 9) r.price ^= 1;
            bytes4 why = field < 2 ? Receipts.OtherBatch.selector : Receipts.NotInBatch.selector;
            refused(s, why);
        }
        for (uint256 i; i < 3; ++i) {
            Statement memory s = statement(2, 3);
            s.proof[i] ^= bytes32(uint256(1));
            refused(s, Receipts.NotInBatch.selector);
        }
        Statement memory t = statement(2, 3);
        t.header.root ^= bytes32(uint256(1));
        refused(t, Receipts.NotInBatch.selector);
        t = statement(2, 3);
        t.header.lease ^= bytes16(uint128(1));
        refused(t, Receipts.OtherBatch.selector);
    }

    function test_a_header_or_signature_flipped_names_another_signer_or_none() external view {
        address key = jsonAddress(json(), ".signer");
        for (uint256 field; field < 4 + 65; ++field) {
            Statement memory s = statement(2, 3);
            if (field == 0) s.header.lease ^= bytes16(uint128(1));
            else if (field == 1) s.header.batch ^= 1;
            else if (field == 2) s.header.count ^= 1;
            else if (field == 3) s.header.root ^= bytes32(uint256(1));
            else s.signature[field - 4] ^= 0x01;
            try checker.signer(s.header, s.signature) returns (address found) {
                check(found != key, "a flipped bit passed");
            } catch (bytes memory why) {
                check(bytes4(why) == Receipts.BadSignature.selector, "another error");
            }
        }
    }

    function test_other_spellings_of_a_signature_are_refused() external {
        Statement memory s = statement(2, 3);
        (bytes32 r, bytes32 sig) = (bytes32(0), bytes32(0));
        bytes memory good = s.signature;
        uint8 v = uint8(good[64]);
        assembly {
            r := mload(add(good, 0x20))
            sig := mload(add(good, 0x40))
        }
        uint256 order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;
        bytes32 high = bytes32(order - uint256(sig));
        bytes[5] memory bad = [
            abi.encodePacked(r, high, 55 - v),
            abi.encodePacked(r, sig, v - 27),
            abi.encodePacked(r, sig, v + 2),
            abi.encodePacked(r, bytes32(uint256(sig) | uint256(v - 27) << 255)),
            abi.encodePacked(good, bytes1(0))
        ];
        for (uint256 i; i < bad.length; ++i) {
            vm.expectRevert(Receipts.BadSignature.selector);
            checker.signer(s.header, bad[i]);
        }
    }

    function test_an_index_or_proof_that_the_count_does_not_allow_is_refused() external {
        Statement memory s = statement(2, 3);
        s.header.count = 3;
        vm.expectRevert(abi.encodeWithSelector(Receipts.IndexOutOfBatch.selector, 3, 3));
        checker.check(s.receipt, s.proof, s.header, s.signature);
        s = statement(2, 3);
        bytes32[] memory longer = new bytes32[](4);
        for (uint256 i; i < 3; ++i) {
            longer[i] = s.proof[i];
        }
        s.proof = longer;
        refused(s, Receipts.ProofTooLong.selector);
    }

    /// @dev An inner node is not a receipt, whatever is claimed about it.
    function testFuzz_a_made_up_receipt_is_never_in_a_batch(
        Receipts.Receipt memory receipt,
        bytes32[] memory proof
    ) external {
        Statement memory s = statement(2, 3);
        receipt.lease = s.header.lease;
        receipt.batch = s.header.batch;
        receipt.index = uint32(bounded(receipt.index, 0, 4));
        vm.expectRevert();
        checker.check(receipt, proof, s.header, s.signature);
    }

    function test_the_time_of_issue_is_the_head_of_a_leases_id() external pure {
        bytes16 lease = bytes16(uint128(1_767_225_600_000) << 80 | 12_345);
        equal(Receipts.issuedMs(lease), 1_767_225_600_000, "issued");
    }

    function refused(Statement memory s, bytes4 why) private {
        vm.expectPartialRevert(why);
        checker.check(s.receipt, s.proof, s.header, s.signature);
    }
}

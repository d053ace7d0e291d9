// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title Receipts: a provider's signed commitments, as a contract reads them
/// @notice A batch's receipts are leaves of a keccak Merkle tree; its root is signed by EIP-712.
/// Exactly what `spec/protocol.md` §2.4 says and `crates/wire/src/batch.rs` makes.
/// @dev Deliberately not here: whose key the signer is (`Registry`), and what follows (`Disputes`).
library Receipts {
    /// @notice What a provider commits to about one execution.
    struct Receipt {
        bytes16 lease; // under which the work was done
        uint64 batch; // number within the lease
        uint32 index; // number within the batch
        uint64 assignment; // number within the lease
        bytes32 task; // id of the task
        bytes32 outcome; // digest of the outcome
        uint64 fuel; // instructions billed
        uint64 codeBytes; // bytes of program billed
        uint64 dataBytes; // bytes of inputs and outputs billed
        uint128 price; // the token's smallest unit
    }

    /// @notice What is signed of a batch.
    struct Header {
        bytes16 lease;
        uint64 batch;
        uint32 count; // receipts in the batch
        bytes32 root;
    }

    /// @notice The receipt is of another lease or batch than the header.
    error OtherBatch();
    /// @notice The header says that the batch holds no receipt of that index.
    error IndexOutOfBatch(uint32 index, uint32 count);
    /// @notice The proof is longer than a tree of that many leaves is high.
    error ProofTooLong(uint256 length, uint256 max);
    /// @notice The proof does not lead from the receipt to the root.
    error NotInBatch();
    /// @notice The signature is malformed or nobody's.
    error BadSignature();

    /// @dev `EIP712Domain(string name,string version)` with "Ayni" and "1": receipts are not bound
    /// to a chain, since a lease may be settled on any.
    bytes32 internal constant DOMAIN = keccak256(
        abi.encode(
            keccak256("EIP712Domain(string name,string version)"), keccak256("Ayni"), keccak256("1")
        )
    );

    bytes32 internal constant BATCH_TYPEHASH =
        keccak256("Batch(bytes16 lease,uint64 batch,uint32 count,bytes32 root)");

    /// @notice The leaf of a receipt: hashed twice, so that no leaf passes for an inner node.
    function leaf(Receipt memory receipt) internal pure returns (bytes32) {
        return keccak256(bytes.concat(keccak256(abi.encode(receipt))));
    }

    /// @notice The hash that is signed for a batch.
    function batchHash(Header memory header) internal pure returns (bytes32) {
        bytes32 body = keccak256(
            abi.encode(BATCH_TYPEHASH, header.lease, header.batch, header.count, header.root)
        );
        return keccak256(abi.encodePacked(hex"1901", DOMAIN, body));
    }

    /// @notice Who signed the header.
    /// @dev Refuses high `s` and any `v` but 27 and 28, as the node does.
    function signer(Header memory header, bytes memory signature) internal pure returns (address) {
        (address key, ECDSA.RecoverError failure,) = ECDSA.tryRecover(batchHash(header), signature);
        if (failure != ECDSA.RecoverError.NoError) revert BadSignature();
        return key;
    }

    /// @notice Checks that the receipt is in the batch, and says who signed that.
    function check(
        Receipt memory receipt,
        bytes32[] memory proof,
        Header memory header,
        bytes memory signature
    ) internal pure returns (address key) {
        if (receipt.lease != header.lease || receipt.batch != header.batch) {
            revert OtherBatch();
        }
        if (receipt.index >= header.count) revert IndexOutOfBatch(receipt.index, header.count);
        uint256 height = Math.log2(header.count, Math.Rounding.Ceil);
        if (proof.length > height) revert ProofTooLong(proof.length, height);
        if (!MerkleProof.verify(proof, header.root, leaf(receipt))) revert NotInBatch();
        return signer(header, signature);
    }

    /// @notice When a lease was issued, in milliseconds since 1970: the first 48 bits of its id.
    function issuedMs(bytes16 lease) internal pure returns (uint64) {
        return uint64(uint128(lease) >> 80);
    }
}

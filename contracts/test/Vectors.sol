// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Receipts} from "../src/Receipts.sol";
import {Base} from "./Base.sol";

/// @dev Reads `spec/vectors/contracts.json`, which the node's own code makes.
abstract contract Vectors is Base {
    struct Statement {
        Receipts.Receipt receipt;
        bytes32 leaf;
        bytes32[] proof;
        Receipts.Header header;
        bytes32 hash;
        bytes signature;
    }

    function json() internal view returns (string memory) {
        return vm.readFile("../spec/vectors/contracts.json");
    }

    function statement(uint256 batch, uint256 index) internal view returns (Statement memory s) {
        string memory text = json();
        string memory path = string.concat(".batches[", vm.toString(batch), "]");
        (s.header, s.hash, s.signature) = header(text, string.concat(path, ".header"));
        path = string.concat(path, ".receipts[", vm.toString(index), "]");
        s.leaf = json32(text, string.concat(path, ".leaf"));
        string[] memory proof = vm.parseJsonStringArray(text, string.concat(path, ".proof"));
        s.proof = new bytes32[](proof.length);
        for (uint256 i; i < proof.length; ++i) {
            s.proof[i] = bytes32(hexBytes(proof[i]));
        }
        s.receipt = receipt(text, string.concat(path, ".receipt"));
    }

    function header(string memory text, string memory path)
        internal
        pure
        returns (Receipts.Header memory h, bytes32 hash, bytes memory signature)
    {
        h.lease = bytes16(jsonBytes(text, string.concat(path, ".lease")));
        h.batch = uint64(jsonNumber(text, string.concat(path, ".batch")));
        h.count = uint32(jsonNumber(text, string.concat(path, ".count")));
        h.root = json32(text, string.concat(path, ".root"));
        hash = json32(text, string.concat(path, ".hash"));
        signature = jsonBytes(text, string.concat(path, ".signature"));
    }

    function receipt(string memory text, string memory path)
        internal
        pure
        returns (Receipts.Receipt memory r)
    {
        r.lease = bytes16(jsonBytes(text, string.concat(path, ".lease")));
        r.batch = uint64(jsonNumber(text, string.concat(path, ".batch")));
        r.index = uint32(jsonNumber(text, string.concat(path, ".index")));
        r.assignment = uint64(jsonNumber(text, string.concat(path, ".assignment")));
        r.task = json32(text, string.concat(path, ".task"));
        r.outcome = json32(text, string.concat(path, ".outcome"));
        r.fuel = uint64(jsonNumber(text, string.concat(path, ".fuel")));
        r.codeBytes = uint64(jsonNumber(text, string.concat(path, ".code_bytes")));
        r.dataBytes = uint64(jsonNumber(text, string.concat(path, ".data_bytes")));
        r.price = uint128(jsonNumber(text, string.concat(path, ".price")));
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Vm} from "./Vm.sol";

/// @dev Assertions, signatures and vectors: what every test here needs of forge, and no more.
abstract contract Base {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    error NotEqual(string what, uint256 found, uint256 expected);

    function check(bool holds, string memory what) internal pure {
        require(holds, what);
    }

    function equal(uint256 found, uint256 expected, string memory what) internal pure {
        if (found != expected) revert NotEqual(what, found, expected);
    }

    function equal(bytes32 found, bytes32 expected, string memory what) internal pure {
        equal(uint256(found), uint256(expected), what);
    }

    function equal(address found, address expected, string memory what) internal pure {
        equal(uint160(found), uint160(expected), what);
    }

    /// @dev A secret key for a name.
    function secret(string memory name) internal pure returns (uint256) {
        return uint256(keccak256(bytes(name))) >> 8;
    }

    function account(string memory name) internal pure returns (address) {
        return vm.addr(secret(name));
    }

    function signed(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    function bounded(uint256 value, uint256 min, uint256 max) internal pure returns (uint256) {
        return min + value % (max - min + 1);
    }

    // ---- Vectors: hexadecimal without 0x, as spec/vectors has it ----

    function jsonBytes(string memory json, string memory key) internal pure returns (bytes memory) {
        return hexBytes(vm.parseJsonString(json, key));
    }

    function hexBytes(string memory text) internal pure returns (bytes memory) {
        bytes memory raw = bytes(text);
        bool prefixed = raw.length >= 2 && raw[0] == "0" && raw[1] == "x";
        return vm.parseBytes(prefixed ? text : string.concat("0x", text));
    }

    function json32(string memory json, string memory key) internal pure returns (bytes32) {
        return bytes32(jsonBytes(json, key));
    }

    function jsonAddress(string memory json, string memory key) internal pure returns (address) {
        return address(bytes20(jsonBytes(json, key)));
    }

    /// @dev A number, written as one or as text.
    function jsonNumber(string memory json, string memory key) internal pure returns (uint256) {
        return vm.parseJsonUint(json, key);
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";

/// @title Timelock: every change of a parameter waits here, in the open
/// @notice OpenZeppelin's, unchanged. It owns `Channels`, `Registry` and `Disputes`. Its `admin` is
/// for setting up only and must be renounced when the governor is proposer and canceller.
contract Timelock is TimelockController {
    constructor(
        uint256 delay,
        address[] memory proposers,
        address[] memory executors,
        address admin
    ) TimelockController(delay, proposers, executors, admin) {}
}

// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

/// @title Escrow: one deposit for each task, released by the payer
/// @notice For comparison only: the least that a payment per task on a chain can do.
contract Escrow {
    using SafeERC20 for IERC20;

    struct Deal {
        address payer;
        uint96 amount;
        address payee;
        uint96 deadline;
    }

    IERC20 private immutable token;
    mapping(uint256 id => Deal) private deals;
    uint256 private next = 1;

    constructor(IERC20 token_) {
        token = token_;
    }

    function open(address payee, uint96 amount, uint96 deadline) external returns (uint256 id) {
        id = next++;
        deals[id] = Deal(msg.sender, amount, payee, deadline);
        token.safeTransferFrom(msg.sender, address(this), amount);
    }

    function release(uint256 id) external {
        Deal memory deal = deals[id];
        require(msg.sender == deal.payer, "not the payer");
        delete deals[id];
        token.safeTransfer(deal.payee, deal.amount);
    }
}

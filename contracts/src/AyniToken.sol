// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {ERC3009} from "@openzeppelin/contracts/token/ERC20/extensions/draft-ERC3009.sol";

/// @title AyniToken: test money for a local ledger
/// @notice Six decimals like the stablecoins that stand in its place elsewhere; EIP-2612 permits and
/// EIP-3009 authorisations, so that holders need no gas. Its owner mints at will: it is worth
/// nothing, and is not meant for any chain where money is.
contract AyniToken is ERC20, ERC20Permit, ERC3009, Ownable {
    constructor(address faucet)
        ERC20("Ayni test money", "AYT")
        ERC20Permit("Ayni test money")
        Ownable(faucet)
    {}

    /// @notice Makes money out of nothing.
    function mint(address to, uint256 amount) external onlyOwner {
        _mint(to, amount);
    }

    function decimals() public pure override returns (uint8) {
        return 6;
    }
}

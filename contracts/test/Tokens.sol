// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// @dev Anyone mints.
contract FreeToken is ERC20("Free", "FREE") {
    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }
}

/// @dev Keeps one in a hundred of what is moved.
contract FeeToken is FreeToken {
    function _update(address from, address to, uint256 value) internal override {
        if (from != address(0) && to != address(0)) {
            super._update(from, address(0xfee), value / 100);
            value -= value / 100;
        }
        super._update(from, to, value);
    }
}

/// @dev Says yes and moves nothing.
contract LyingToken is FreeToken {
    function transferFrom(address, address, uint256) public pure override returns (bool) {
        return true;
    }
}

/// @dev Refuses to pay some accounts, as stablecoins do.
contract BlockingToken is FreeToken {
    mapping(address account => bool) public blocked;

    function block_(address account) external {
        blocked[account] = true;
    }

    function _update(address from, address to, uint256 value) internal override {
        require(!blocked[to], "blocked");
        super._update(from, to, value);
    }
}

/// @dev Calls somebody back in the middle of a transfer.
contract CallingToken is FreeToken {
    address private target;
    bytes private data;
    bool public refused;

    function callBack(address target_, bytes calldata data_) external {
        (target, data) = (target_, data_);
    }

    function _update(address from, address to, uint256 value) internal override {
        super._update(from, to, value);
        if (target == address(0)) return;
        (bool done,) = target.call(data);
        refused = !done;
    }
}

/// @dev A payer that is a contract: its owner's signature is its own (ERC-1271).
contract Wallet is IERC1271 {
    address private immutable owner;

    constructor(address owner_) {
        owner = owner_;
    }

    function isValidSignature(bytes32 hash, bytes calldata signature)
        external
        view
        returns (bytes4)
    {
        // One byte more than a plain signature, so that it can't pass for one.
        (address signer,,) = ECDSA.tryRecover(hash, signature[:65]);
        return
            signer == owner && signature.length == 66 ? this.isValidSignature.selector : bytes4(0);
    }

    function run(address target, bytes calldata data) external {
        (bool done,) = target.call(data);
        require(done, "call failed");
    }
}

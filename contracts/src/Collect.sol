// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IERC3009} from "@openzeppelin/contracts/interfaces/draft-IERC3009.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// @dev EIP-3009 with a signature of any length, as newer tokens have it for payers that are
/// contracts.
interface IReceiveWithLongSignature {
    function receiveWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes memory signature
    ) external;
}

/// @title Collect: brings a token in, and makes sure that all of it arrived
/// @notice Tokens that take a fee on transfers, or that lie about one, are refused.
library Collect {
    using SafeERC20 for IERC20;

    struct Authorization {
        uint256 validAfter; // seconds since 1970
        uint256 validBefore;
        bytes32 nonce;
        bytes signature;
    }

    /// @notice The token moved another amount than asked: it can't be used here.
    error WrongAmountArrived(address token, uint256 asked, uint256 arrived);
    /// @notice Only zero (allowance) and the contract itself (EIP-3009) collect here.
    error UnknownCollector(address collector);

    /// @notice From the caller's allowance.
    function fromCaller(address token, uint256 amount) internal {
        uint256 before = IERC20(token).balanceOf(address(this));
        IERC20(token).safeTransferFrom(msg.sender, address(this), amount);
        _checkArrived(token, before, amount);
    }

    /// @notice From a holder who signed, and pays no gas. The purpose is bound in the nonce.
    function byAuthorization(
        address token,
        address from,
        uint256 amount,
        bytes32 purpose,
        address collector,
        bytes calldata data
    ) internal {
        if (collector != address(this)) revert UnknownCollector(collector);
        Authorization memory auth;
        uint256 salt;
        (auth.validAfter, auth.validBefore, salt, auth.signature) =
            abi.decode(data, (uint256, uint256, uint256, bytes));
        auth.nonce = keccak256(abi.encode(purpose, salt));
        uint256 before = IERC20(token).balanceOf(address(this));
        _receive(token, from, amount, auth);
        _checkArrived(token, before, amount);
    }

    function _receive(address token, address from, uint256 amount, Authorization memory auth)
        private
    {
        if (auth.signature.length == 65) {
            (uint8 v, bytes32 r, bytes32 s) = ECDSA.parse(auth.signature);
            IERC3009(token)
                .receiveWithAuthorization(
                    from,
                    address(this),
                    amount,
                    auth.validAfter,
                    auth.validBefore,
                    auth.nonce,
                    v,
                    r,
                    s
                );
        } else {
            IReceiveWithLongSignature(token)
                .receiveWithAuthorization(
                    from,
                    address(this),
                    amount,
                    auth.validAfter,
                    auth.validBefore,
                    auth.nonce,
                    auth.signature
                );
        }
    }

    function _checkArrived(address token, uint256 before, uint256 amount) private view {
        uint256 arrived = IERC20(token).balanceOf(address(this)) - before;
        if (arrived != amount) revert WrongAmountArrived(token, amount, arrived);
    }
}

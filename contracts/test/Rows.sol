// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {ClaimRows} from "../src/ClaimRows.sol";
import {IBatchSettlement} from "../src/IBatchSettlement.sol";

/// @dev Writes what `ClaimRows` reads: each row over the one before.
library Rows {
    function append(
        bytes memory rows,
        IBatchSettlement.ChannelConfig memory last,
        IBatchSettlement.ChannelConfig memory c,
        uint128 ceiling,
        bytes memory signature
    ) internal pure returns (bytes memory) {
        uint8 flags;
        bytes memory fields;
        if (c.payer != last.payer) {
            (flags, fields) = (flags | ClaimRows.PAYER, abi.encodePacked(fields, c.payer));
        }
        if (c.payerAuthorizer != last.payerAuthorizer) {
            flags |= ClaimRows.PAYER_AUTHORIZER;
            fields = abi.encodePacked(fields, c.payerAuthorizer);
        }
        if (c.receiver != last.receiver) {
            (flags, fields) = (flags | ClaimRows.RECEIVER, abi.encodePacked(fields, c.receiver));
        }
        if (c.receiverAuthorizer == c.receiver) {
            flags |= ClaimRows.SELF_AUTHORIZED;
        } else if (c.receiverAuthorizer != last.receiverAuthorizer) {
            flags |= ClaimRows.RECEIVER_AUTHORIZER;
            fields = abi.encodePacked(fields, c.receiverAuthorizer);
        }
        if (c.token != last.token) {
            (flags, fields) = (flags | ClaimRows.TOKEN, abi.encodePacked(fields, c.token));
        }
        if (c.withdrawDelay != last.withdrawDelay) {
            flags |= ClaimRows.WITHDRAW_DELAY;
            fields = abi.encodePacked(fields, c.withdrawDelay);
        }
        if (c.salt != last.salt) {
            (flags, fields) = (flags | ClaimRows.SALT, abi.encodePacked(fields, c.salt));
        }
        return abi.encodePacked(rows, flags, fields, ceiling, signature);
    }

    function one(IBatchSettlement.ChannelConfig memory c, uint128 ceiling, bytes memory signature)
        internal
        pure
        returns (bytes memory)
    {
        IBatchSettlement.ChannelConfig memory none;
        return append("", none, c, ceiling, signature);
    }
}

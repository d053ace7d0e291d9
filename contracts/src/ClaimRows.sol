// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IBatchSettlement} from "./IBatchSettlement.sol";

/// @title ClaimRows: vouchers packed so that a relayer's calldata is about 100 bytes each
/// @notice A row is `flags(1) fields… ceiling(16) r(32) s(32) v(1)`. A field that is not in the row
/// is that of the row before (all zero before the first). Flags, and fields in this order:
///
/// | bit  | field                                         | bytes |
/// |------|-----------------------------------------------|-------|
/// | 0x01 | payer                                         | 20    |
/// | 0x02 | payerAuthorizer                               | 20    |
/// | 0x04 | receiver                                      | 20    |
/// | 0x08 | receiverAuthorizer                            | 20    |
/// | 0x10 | token                                         | 20    |
/// | 0x20 | withdrawDelay                                 | 5     |
/// | 0x40 | salt                                          | 32    |
/// | 0x80 | receiverAuthorizer is this row's receiver     | 0     |
///
/// One payer's channels with its one key: 102 bytes a row after the first; with a session key for
/// each channel: 122.
library ClaimRows {
    uint8 internal constant PAYER = 0x01;
    uint8 internal constant PAYER_AUTHORIZER = 0x02;
    uint8 internal constant RECEIVER = 0x04;
    uint8 internal constant RECEIVER_AUTHORIZER = 0x08;
    uint8 internal constant TOKEN = 0x10;
    uint8 internal constant WITHDRAW_DELAY = 0x20;
    uint8 internal constant SALT = 0x40;
    uint8 internal constant SELF_AUTHORIZED = 0x80;

    /// @dev Flags, ceiling and signature: no row is shorter.
    uint256 internal constant ROW_BYTES_MIN = 1 + 16 + 65;

    /// @notice The rows end within a row, or a row says two things about one field.
    error MalformedRow(uint256 offset);

    /// @dev What changes from row to row while reading.
    struct Row {
        IBatchSettlement.ChannelConfig config;
        uint128 ceiling;
        bytes32 r;
        bytes32 s;
        uint8 v;
    }

    /// @notice Reads the row at `offset` over the one before; says where the next one begins.
    function next(bytes calldata rows, uint256 offset, Row memory row)
        internal
        pure
        returns (uint256 pos)
    {
        uint8 flags = uint8(rows[offset]);
        pos = offset + 1;
        if (pos + _fieldBytes(flags) + ROW_BYTES_MIN - 1 > rows.length) {
            revert MalformedRow(offset);
        }
        IBatchSettlement.ChannelConfig memory config = row.config;
        if (flags & PAYER != 0) (config.payer, pos) = _address(rows, pos);
        if (flags & PAYER_AUTHORIZER != 0) (config.payerAuthorizer, pos) = _address(rows, pos);
        if (flags & RECEIVER != 0) (config.receiver, pos) = _address(rows, pos);
        if (flags & RECEIVER_AUTHORIZER != 0) {
            if (flags & SELF_AUTHORIZED != 0) revert MalformedRow(offset);
            (config.receiverAuthorizer, pos) = _address(rows, pos);
        } else if (flags & SELF_AUTHORIZED != 0) {
            config.receiverAuthorizer = config.receiver;
        }
        if (flags & TOKEN != 0) (config.token, pos) = _address(rows, pos);
        if (flags & WITHDRAW_DELAY != 0) {
            config.withdrawDelay = uint40(bytes5(rows[pos:pos + 5]));
            pos += 5;
        }
        if (flags & SALT != 0) {
            config.salt = bytes32(rows[pos:pos + 32]);
            pos += 32;
        }
        row.ceiling = uint128(bytes16(rows[pos:pos + 16]));
        row.r = bytes32(rows[pos + 16:pos + 48]);
        row.s = bytes32(rows[pos + 48:pos + 80]);
        row.v = uint8(rows[pos + 80]);
        pos += 81;
    }

    function _fieldBytes(uint8 flags) private pure returns (uint256 bytes_) {
        if (flags & PAYER != 0) bytes_ += 20;
        if (flags & PAYER_AUTHORIZER != 0) bytes_ += 20;
        if (flags & RECEIVER != 0) bytes_ += 20;
        if (flags & RECEIVER_AUTHORIZER != 0) bytes_ += 20;
        if (flags & TOKEN != 0) bytes_ += 20;
        if (flags & WITHDRAW_DELAY != 0) bytes_ += 5;
        if (flags & SALT != 0) bytes_ += 32;
    }

    function _address(bytes calldata rows, uint256 pos) private pure returns (address, uint256) {
        return (address(bytes20(rows[pos:pos + 20])), pos + 20);
    }
}

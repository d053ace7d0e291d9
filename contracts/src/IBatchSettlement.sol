// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

/// @title What x402's `batch-settlement` scheme calls (as in `@x402/evm` 2.27)
/// @notice Structs, functions and views by which its clients and facilitators deposit, claim,
/// settle and withdraw. All amounts are in the token's smallest unit, cumulative from a channel's
/// beginning.
interface IBatchSettlement {
    /// @notice What a channel is, for ever: its EIP-712 hash is its id.
    struct ChannelConfig {
        address payer; // whose deposit it is
        address payerAuthorizer; // key that signs vouchers; zero: the payer itself
        address receiver; // who is paid
        address receiverAuthorizer; // who may say for the receiver what is claimed
        address token;
        uint40 withdrawDelay; // seconds from a payer's wish to withdraw to the withdrawal
        bytes32 salt; // tells channels of one pair apart
    }

    struct Voucher {
        ChannelConfig channel;
        uint128 maxClaimableAmount;
    }

    struct VoucherClaim {
        Voucher voucher;
        bytes signature; // by the payer's key, over the voucher
        uint128 totalClaimed; // what is to be claimed in all; at most `maxClaimableAmount`
    }

    struct ChannelState {
        uint128 balance; // paid in, less what was given back
        uint128 totalClaimed;
    }

    struct WithdrawalState {
        uint128 amount;
        uint40 initiatedAt; // seconds since 1970; zero: none waits
    }

    struct ReceiverState {
        uint128 totalClaimed;
        uint128 totalSettled;
    }

    event ChannelCreated(
        bytes32 indexed channelId,
        address indexed payer,
        address indexed receiver,
        ChannelConfig config
    );
    event Deposited(
        bytes32 indexed channelId, address indexed sender, uint128 amount, uint128 newBalance
    );
    event Claimed(
        bytes32 indexed channelId,
        address indexed sender,
        uint128 claimAmount,
        uint128 newTotalClaimed
    );
    event Settled(
        address indexed receiver, address indexed token, address indexed sender, uint128 amount
    );
    event WithdrawInitiated(bytes32 indexed channelId, uint128 amount, uint40 finalizeAfter);
    event WithdrawFinalized(bytes32 indexed channelId, address indexed sender, uint128 amount);
    event Refunded(bytes32 indexed channelId, address indexed sender, uint128 amount);

    function deposit(
        ChannelConfig calldata config,
        uint128 amount,
        address collector,
        bytes calldata collectorData
    ) external;
    function claim(VoucherClaim[] calldata voucherClaims) external;
    function claimWithSignature(
        VoucherClaim[] calldata voucherClaims,
        bytes calldata authorizerSignature
    ) external;
    function settle(address receiver, address token) external;
    function initiateWithdraw(ChannelConfig calldata config, uint128 amount) external;
    function finalizeWithdraw(ChannelConfig calldata config) external;
    function refund(ChannelConfig calldata config, uint128 amount) external;
    function refundWithSignature(
        ChannelConfig calldata config,
        uint128 amount,
        uint256 nonce,
        bytes calldata receiverAuthorizerSignature
    ) external;
    function getChannelId(ChannelConfig calldata config) external view returns (bytes32);
    function getVoucherDigest(bytes32 channelId, uint128 maxClaimableAmount)
        external
        view
        returns (bytes32);
    function getRefundDigest(bytes32 channelId, uint256 nonce, uint128 amount)
        external
        view
        returns (bytes32);
    function getClaimBatchDigest(VoucherClaim[] calldata voucherClaims)
        external
        view
        returns (bytes32);
    function channels(bytes32 channelId)
        external
        view
        returns (uint128 balance, uint128 totalClaimed);
    function pendingWithdrawals(bytes32 channelId)
        external
        view
        returns (uint128 amount, uint40 initiatedAt);
    function receivers(address receiver, address token)
        external
        view
        returns (uint128 totalClaimed, uint128 totalSettled);
    function refundNonce(bytes32 channelId) external view returns (uint256);
    function CHANNEL_CONFIG_TYPEHASH() external view returns (bytes32);
}

// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Multicall} from "@openzeppelin/contracts/utils/Multicall.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

import {ClaimRows} from "./ClaimRows.sol";
import {Collect} from "./Collect.sol";
import {IBatchSettlement} from "./IBatchSettlement.sol";

/// @title Channels: a payer's deposit for one payee, drawn by signed vouchers
/// @notice Unidirectional payment channels with the interface and the EIP-712 types of x402's
/// `batch-settlement`. Beside it: many channels opened at once, deposits by a signature alone, and
/// claims that anyone may bring, since the money goes to the payee whoever does.
///
/// What must never break: a channel pays at most the highest voucher its payer signed and at most
/// its deposit; what was claimed never falls; a slot is never cleared, so no voucher counts twice;
/// for each token, the contract holds what all channels and payees may still take out.
/// @dev Deliberately not here: pausing, upgrading, fees, or any way by which the owner could reach
/// deposits. The owner sets the bounds of new channels' withdrawal delays, within fixed ones.
contract Channels is IBatchSettlement, EIP712, Ownable, Multicall, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    /// @notice One of the channels that `openMany` opens.
    struct Opening {
        address payerAuthorizer;
        address receiver;
        address receiverAuthorizer;
        uint128 amount;
    }

    /// @dev What a relayed claim pays out at its end.
    struct PayOut {
        address receiver;
        address token;
        uint128 amount;
    }

    enum Skipped {
        Signature, // not by the payer's key
        NothingNew // the voucher or the deposit is used up
    }

    /// @notice A row of a relayed claim did nothing; the others went on.
    event ClaimSkipped(bytes32 indexed channelId, Skipped why);
    event WithdrawDelayBoundsChanged(uint40 min, uint40 max);

    /// @notice A field of the channel is zero or is this contract itself.
    error InvalidParty();
    error WithdrawDelayOutOfRange(uint40 delay, uint40 min, uint40 max);
    /// @notice The amount is zero.
    error NoAmount();
    /// @notice The payer took everything out; old vouchers must stay worthless. Open a channel with
    /// another salt.
    error ChannelClosed(bytes32 channelId);
    /// @notice The caller may not do this for the channel.
    error NotAllowed(address caller);
    error BadVoucherSignature(bytes32 channelId);
    error BadAuthorizerSignature();
    error AboveCeiling(bytes32 channelId, uint128 totalClaimed, uint128 maxClaimableAmount);
    error AboveBalance(bytes32 channelId, uint128 totalClaimed, uint128 balance);
    error AboveAvailable(bytes32 channelId, uint128 amount, uint128 available);
    /// @notice A withdrawal waits already; only the payer itself may replace it.
    error WithdrawalPending(bytes32 channelId);
    error NoWithdrawal(bytes32 channelId);
    error TooEarly(bytes32 channelId, uint256 from);
    error BadRefundNonce(bytes32 channelId, uint256 nonce, uint256 expected);
    error NothingToSettle(address receiver, address token);
    error EmptyClaim();

    bytes32 public constant CHANNEL_CONFIG_TYPEHASH = keccak256(
        "ChannelConfig(address payer,address payerAuthorizer,address receiver,address receiverAuthorizer,address token,uint40 withdrawDelay,bytes32 salt)"
    );
    bytes32 public constant VOUCHER_TYPEHASH =
        keccak256("Voucher(bytes32 channelId,uint128 maxClaimableAmount)");
    bytes32 public constant REFUND_TYPEHASH =
        keccak256("Refund(bytes32 channelId,uint256 nonce,uint128 amount)");
    bytes32 public constant CLAIM_ENTRY_TYPEHASH =
        keccak256("ClaimEntry(bytes32 channelId,uint128 maxClaimableAmount,uint128 totalClaimed)");
    bytes32 public constant CLAIM_BATCH_TYPEHASH = keccak256(
        "ClaimBatch(ClaimEntry[] claims)ClaimEntry(bytes32 channelId,uint128 maxClaimableAmount,uint128 totalClaimed)"
    );

    /// @notice What the owner may not go below: 15 minutes, as x402.
    uint40 public constant MIN_WITHDRAW_DELAY = 15 minutes;
    /// @notice What the owner may not go above: 30 days, as x402.
    uint40 public constant MAX_WITHDRAW_DELAY = 30 days;

    /// @notice Bounds for new channels, in seconds.
    uint40 public withdrawDelayMin = MIN_WITHDRAW_DELAY;
    uint40 public withdrawDelayMax = MAX_WITHDRAW_DELAY;

    struct Withdrawal {
        uint128 amount;
        uint40 initiatedAt;
        bool closed; // the payer took everything out; for ever
    }

    mapping(bytes32 channelId => ChannelState) public channels;
    mapping(bytes32 channelId => Withdrawal) private _withdrawals;
    mapping(address receiver => mapping(address token => ReceiverState)) public receivers;
    mapping(bytes32 channelId => uint256) public refundNonce;

    constructor(address owner_) EIP712("x402 Batch Settlement", "1") Ownable(owner_) {}

    // ---- Paying in ----

    /// @notice Opens a channel or adds to it.
    /// @param collector Where the money comes from. Zero: from the caller's allowance. This
    /// contract's address: from the payer, by EIP-3009 (`to` is this contract, the nonce is
    /// `keccak256(abi.encode(channelId, salt))`, so nobody can lead it to another channel);
    /// `collectorData` is then `abi.encode(validAfter, validBefore, salt, signature)`.
    function deposit(
        ChannelConfig calldata config,
        uint128 amount,
        address collector,
        bytes calldata collectorData
    ) external nonReentrant {
        bytes32 id = _deposit(config, amount);
        if (collector == address(0)) {
            Collect.fromCaller(config.token, amount);
        } else {
            Collect.byAuthorization(
                config.token, config.payer, amount, id, collector, collectorData
            );
        }
    }

    /// @notice Opens (or tops up) many channels of the caller with one pull of the token.
    function openMany(
        address token,
        uint40 withdrawDelay,
        bytes32 salt,
        Opening[] calldata openings
    ) external nonReentrant {
        ChannelConfig memory config;
        config.payer = msg.sender;
        config.token = token;
        config.withdrawDelay = withdrawDelay;
        config.salt = salt;
        uint256 sum;
        for (uint256 i; i < openings.length; ++i) {
            Opening calldata opening = openings[i];
            config.payerAuthorizer = opening.payerAuthorizer;
            config.receiver = opening.receiver;
            config.receiverAuthorizer = opening.receiverAuthorizer;
            _deposit(config, opening.amount);
            sum += opening.amount;
        }
        Collect.fromCaller(token, sum);
    }

    // ---- Claiming ----

    /// @notice Claims for channels whose receiver, or receiver's authorizer, the caller is.
    function claim(VoucherClaim[] calldata voucherClaims) external {
        if (voucherClaims.length == 0) revert EmptyClaim();
        for (uint256 i; i < voucherClaims.length; ++i) {
            ChannelConfig calldata config = voucherClaims[i].voucher.channel;
            if (msg.sender != config.receiver && msg.sender != config.receiverAuthorizer) {
                revert NotAllowed(msg.sender);
            }
            _claim(voucherClaims[i], getChannelId(config));
        }
    }

    /// @notice Claims brought by anyone, as signed by the receivers' one authorizer.
    function claimWithSignature(
        VoucherClaim[] calldata voucherClaims,
        bytes calldata authorizerSignature
    ) external {
        if (voucherClaims.length == 0) revert EmptyClaim();
        address authorizer = voucherClaims[0].voucher.channel.receiverAuthorizer;
        bytes32 digest = getClaimBatchDigest(voucherClaims);
        if (!_isSigned(authorizer, digest, authorizerSignature)) revert BadAuthorizerSignature();
        for (uint256 i; i < voucherClaims.length; ++i) {
            ChannelConfig calldata config = voucherClaims[i].voucher.channel;
            if (config.receiverAuthorizer != authorizer) revert NotAllowed(authorizer);
            _claim(voucherClaims[i], getChannelId(config));
        }
    }

    /// @notice Claims brought by anyone, for any channels, each up to its voucher's ceiling (or what
    /// the deposit holds). The payees take it by `settle`.
    /// @param rows See `ClaimRows`. A row that can't be claimed is skipped and reported. Payers that
    /// are contracts sign longer: use `claim` or `claimWithSignature` for theirs.
    /// @return total What was claimed, over all tokens.
    function claimFor(bytes calldata rows) external nonReentrant returns (uint256 total) {
        PayOut[] memory payOuts;
        (payOuts, total) = _claimRows(rows);
        for (uint256 i; i < payOuts.length; ++i) {
            _credit(payOuts[i].receiver, payOuts[i].token, payOuts[i].amount);
        }
    }

    /// @notice The same, and pays the payees at once. One who can't be paid (say, is blocked by the
    /// token) is credited as by `claimFor`.
    /// @dev `receivers` counts what passes through `settle`; what is paid here is not in it.
    function claimAndSettle(bytes calldata rows) external nonReentrant returns (uint256 total) {
        PayOut[] memory payOuts;
        (payOuts, total) = _claimRows(rows);
        for (uint256 i; i < payOuts.length; ++i) {
            PayOut memory due = payOuts[i];
            if (IERC20(due.token).trySafeTransfer(due.receiver, due.amount)) {
                emit Settled(due.receiver, due.token, msg.sender, due.amount);
            } else {
                _credit(due.receiver, due.token, due.amount);
            }
        }
    }

    /// @notice Pays a payee what was claimed for it. Anyone may call it.
    function settle(address receiver, address token) external nonReentrant {
        ReceiverState storage state = receivers[receiver][token];
        uint128 amount = state.totalClaimed - state.totalSettled;
        if (amount == 0) revert NothingToSettle(receiver, token);
        state.totalSettled = state.totalClaimed;
        emit Settled(receiver, token, msg.sender, amount);
        IERC20(token).safeTransfer(receiver, amount);
    }

    // ---- Giving back ----

    /// @notice The payer (or its key) announces that it takes `amount` out. The payee has the
    /// channel's delay to claim what it is owed.
    function initiateWithdraw(ChannelConfig calldata config, uint128 amount) external {
        bytes32 id = getChannelId(config);
        Withdrawal storage waiting = _withdrawals[id];
        if (msg.sender != config.payer) {
            if (msg.sender != config.payerAuthorizer) revert NotAllowed(msg.sender);
            // Else a stolen key could put the payer off for ever.
            if (waiting.initiatedAt != 0) revert WithdrawalPending(id);
        }
        if (amount == 0) revert NoAmount();
        uint128 available = _available(id);
        if (amount > available) revert AboveAvailable(id, amount, available);
        waiting.amount = amount;
        waiting.initiatedAt = uint40(block.timestamp);
        emit WithdrawInitiated(id, amount, uint40(block.timestamp) + config.withdrawDelay);
    }

    /// @notice Pays the payer what it announced, or what is left of it. Anyone may call it. When
    /// nothing is left then, the channel is closed for ever.
    function finalizeWithdraw(ChannelConfig calldata config) external nonReentrant {
        bytes32 id = getChannelId(config);
        Withdrawal storage waiting = _withdrawals[id];
        if (waiting.initiatedAt == 0) revert NoWithdrawal(id);
        uint256 from = uint256(waiting.initiatedAt) + config.withdrawDelay;
        if (block.timestamp < from) revert TooEarly(id, from);
        uint128 available = _available(id);
        uint128 amount = waiting.amount < available ? waiting.amount : available;
        waiting.amount = 0;
        waiting.initiatedAt = 0;
        waiting.closed = amount == available;
        emit WithdrawFinalized(id, msg.sender, amount);
        _giveBack(id, config, amount);
    }

    /// @notice The payee gives the payer back up to `amount` of what is not claimed.
    function refund(ChannelConfig calldata config, uint128 amount) external nonReentrant {
        if (msg.sender != config.receiver && msg.sender != config.receiverAuthorizer) {
            revert NotAllowed(msg.sender);
        }
        _refund(getChannelId(config), config, amount);
    }

    /// @notice The same, brought by anyone, as signed by the receiver's authorizer.
    function refundWithSignature(
        ChannelConfig calldata config,
        uint128 amount,
        uint256 nonce,
        bytes calldata receiverAuthorizerSignature
    ) external nonReentrant {
        bytes32 id = getChannelId(config);
        if (nonce != refundNonce[id]) revert BadRefundNonce(id, nonce, refundNonce[id]);
        refundNonce[id] = nonce + 1;
        bytes32 digest = getRefundDigest(id, nonce, amount);
        if (!_isSigned(config.receiverAuthorizer, digest, receiverAuthorizerSignature)) {
            revert BadAuthorizerSignature();
        }
        _refund(id, config, amount);
    }

    // ---- Parameters ----

    /// @notice Bounds for the delays of channels opened from now on.
    function setWithdrawDelayBounds(uint40 min, uint40 max) external onlyOwner {
        if (min < MIN_WITHDRAW_DELAY || max > MAX_WITHDRAW_DELAY || min > max) {
            revert WithdrawDelayOutOfRange(min, MIN_WITHDRAW_DELAY, MAX_WITHDRAW_DELAY);
        }
        withdrawDelayMin = min;
        withdrawDelayMax = max;
        emit WithdrawDelayBoundsChanged(min, max);
    }

    // ---- Views ----

    function getChannelId(ChannelConfig memory config) public view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(CHANNEL_CONFIG_TYPEHASH, config)));
    }

    function getVoucherDigest(bytes32 channelId, uint128 maxClaimableAmount)
        public
        view
        returns (bytes32)
    {
        return _hashTypedDataV4(
            keccak256(abi.encode(VOUCHER_TYPEHASH, channelId, maxClaimableAmount))
        );
    }

    function getRefundDigest(bytes32 channelId, uint256 nonce, uint128 amount)
        public
        view
        returns (bytes32)
    {
        return _hashTypedDataV4(keccak256(abi.encode(REFUND_TYPEHASH, channelId, nonce, amount)));
    }

    function getClaimBatchDigest(VoucherClaim[] calldata voucherClaims)
        public
        view
        returns (bytes32)
    {
        bytes32[] memory entries = new bytes32[](voucherClaims.length);
        for (uint256 i; i < entries.length; ++i) {
            Voucher calldata voucher = voucherClaims[i].voucher;
            entries[i] = keccak256(
                abi.encode(
                    CLAIM_ENTRY_TYPEHASH,
                    getChannelId(voucher.channel),
                    voucher.maxClaimableAmount,
                    voucherClaims[i].totalClaimed
                )
            );
        }
        bytes32 claims = keccak256(abi.encodePacked(entries));
        return _hashTypedDataV4(keccak256(abi.encode(CLAIM_BATCH_TYPEHASH, claims)));
    }

    function pendingWithdrawals(bytes32 channelId)
        external
        view
        returns (uint128 amount, uint40 initiatedAt)
    {
        return (_withdrawals[channelId].amount, _withdrawals[channelId].initiatedAt);
    }

    /// @notice Whether the payer took everything out, so that nothing can be paid in again.
    function isClosed(bytes32 channelId) external view returns (bool) {
        return _withdrawals[channelId].closed;
    }

    // ---- Within ----

    /// @dev Books a deposit; the caller brings the money.
    function _deposit(ChannelConfig memory config, uint128 amount) private returns (bytes32 id) {
        if (amount == 0) revert NoAmount();
        id = getChannelId(config);
        ChannelState storage channel = channels[id];
        uint128 balance = channel.balance;
        // A channel's balance is only zero again when it was closed, or refunded in full.
        if (balance == 0) {
            _checkConfig(config);
            emit ChannelCreated(id, config.payer, config.receiver, config);
        }
        if (_withdrawals[id].closed) revert ChannelClosed(id);
        channel.balance = balance + amount;
        emit Deposited(id, msg.sender, amount, balance + amount);
    }

    function _checkConfig(ChannelConfig memory config) private view {
        if (
            config.payer == address(0) || config.payer == address(this)
                || config.receiver == address(0) || config.receiver == address(this)
                || config.receiverAuthorizer == address(0) || config.token == address(0)
        ) revert InvalidParty();
        uint40 delay = config.withdrawDelay;
        if (delay < withdrawDelayMin || delay > withdrawDelayMax) {
            revert WithdrawDelayOutOfRange(delay, withdrawDelayMin, withdrawDelayMax);
        }
    }

    /// @dev One claim as the receiver's side words it: exact or nothing. What is not above what was
    /// claimed before changes nothing, so that a claim may be sent twice.
    function _claim(VoucherClaim calldata row, bytes32 id) private {
        Voucher calldata voucher = row.voucher;
        ChannelConfig calldata config = voucher.channel;
        (uint128 ceiling, uint128 total) = (voucher.maxClaimableAmount, row.totalClaimed);
        if (total > ceiling) revert AboveCeiling(id, total, ceiling);
        address key = config.payerAuthorizer == address(0) ? config.payer : config.payerAuthorizer;
        if (!_isSigned(key, getVoucherDigest(id, ceiling), row.signature)) {
            revert BadVoucherSignature(id);
        }
        ChannelState storage channel = channels[id];
        (uint128 balance, uint128 before) = (channel.balance, channel.totalClaimed);
        if (total > balance) revert AboveBalance(id, total, balance);
        if (total <= before) return;
        channel.totalClaimed = total;
        emit Claimed(id, msg.sender, total - before, total);
        _credit(config.receiver, config.token, total - before);
    }

    function _claimRows(bytes calldata rows)
        private
        returns (PayOut[] memory payOuts, uint256 total)
    {
        if (rows.length == 0) revert EmptyClaim();
        payOuts = new PayOut[](rows.length / ClaimRows.ROW_BYTES_MIN);
        ClaimRows.Row memory row;
        uint256 count;
        for (uint256 pos; pos < rows.length;) {
            pos = ClaimRows.next(rows, pos, row);
            uint128 amount = _claimRow(row);
            if (amount == 0) continue;
            total += amount;
            (address receiver, address token) = (row.config.receiver, row.config.token);
            if (count > 0) {
                PayOut memory last = payOuts[count - 1];
                if (last.receiver == receiver && last.token == token) {
                    last.amount += amount;
                    continue;
                }
            }
            payOuts[count++] = PayOut(receiver, token, amount);
        }
        assembly ("memory-safe") {
            mstore(payOuts, count)
        }
    }

    /// @dev Claims as much as voucher and deposit allow; zero if the row is skipped.
    function _claimRow(ClaimRows.Row memory row) private returns (uint128 amount) {
        bytes32 id = getChannelId(row.config);
        ChannelState storage channel = channels[id];
        (uint128 balance, uint128 before) = (channel.balance, channel.totalClaimed);
        uint128 total = row.ceiling < balance ? row.ceiling : balance;
        if (total <= before) {
            emit ClaimSkipped(id, Skipped.NothingNew);
            return 0;
        }
        address key = row.config.payerAuthorizer;
        if (key == address(0)) key = row.config.payer;
        bytes32 digest = getVoucherDigest(id, row.ceiling);
        (address signer, ECDSA.RecoverError failure,) =
            ECDSA.tryRecover(digest, row.v, row.r, row.s);
        if (failure != ECDSA.RecoverError.NoError || signer != key) {
            emit ClaimSkipped(id, Skipped.Signature);
            return 0;
        }
        amount = total - before;
        channel.totalClaimed = total;
        emit Claimed(id, msg.sender, amount, total);
    }

    function _credit(address receiver, address token, uint128 amount) private {
        receivers[receiver][token].totalClaimed += amount;
    }

    function _refund(bytes32 id, ChannelConfig calldata config, uint128 amount) private {
        uint128 available = _available(id);
        if (amount > available) amount = available;
        if (amount == 0) revert NoAmount();
        emit Refunded(id, msg.sender, amount);
        _giveBack(id, config, amount);
    }

    function _giveBack(bytes32 id, ChannelConfig calldata config, uint128 amount) private {
        channels[id].balance -= amount;
        if (amount > 0) IERC20(config.token).safeTransfer(config.payer, amount);
    }

    function _available(bytes32 id) private view returns (uint128) {
        return channels[id].balance - channels[id].totalClaimed;
    }

    /// @dev Plain keys first: they pay nothing for what contracts may do.
    function _isSigned(address key, bytes32 digest, bytes calldata signature)
        private
        view
        returns (bool)
    {
        (address signer, ECDSA.RecoverError failure,) = ECDSA.tryRecoverCalldata(digest, signature);
        if (failure == ECDSA.RecoverError.NoError && signer == key) return true;
        return key.code.length > 0
            && SignatureChecker.isValidERC1271SignatureNowCalldata(key, digest, signature);
    }
}

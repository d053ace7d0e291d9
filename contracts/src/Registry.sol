// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {Collect} from "./Collect.sol";
import {JuryPool} from "./JuryPool.sol";
import {NodeKeys} from "./NodeKeys.sol";

/// @title Registry: nodes, their keys and their stake
/// @notice A provider stakes, and reserves parts of its stake for requesters it works for. A
/// reservation names a requester, an amount and a time; it serves any number of leases of that
/// pair, one after another, so that an hourly lease needs no transaction. It is not released before
/// its time and the dispute window after it are over, and only its requester can be made good from
/// it.
///
/// What must never break: the contract holds exactly the sum of all stakes (or more, if someone
/// sent it tokens); what is reserved, in the jury or leaving is never more than what is staked; the
/// dispute contract takes at most what is reserved for the dispute's requester, or what a juror
/// put into the pool.
/// @dev Deliberately not here: why stake is taken (`Disputes`), prices, reputation. The owner sets
/// delays within fixed bounds and names the dispute contract; it can't touch stakes otherwise.
contract Registry is NodeKeys, JuryPool, Ownable, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    struct Stake {
        uint128 staked; // all of it, with what follows
        uint128 reserved; // for requesters
        uint128 juryLocked; // behind the account's seat in the jury
        uint128 leaving; // asked back
        uint64 leavingFrom; // seconds since 1970 from which it may go
        uint64 dutyUntil; // a juror's seat can't be left before
    }

    struct Reservation {
        uint128 amount;
        uint64 until; // seconds since 1970: leases it backs end before
        uint64 heldUntil; // not released before, because of a dispute
    }

    event Staked(address indexed account, uint128 amount, uint128 staked);
    event UnstakeRequested(address indexed account, uint128 amount, uint64 from);
    event UnstakeCancelled(address indexed account, uint128 amount);
    event Unstaked(address indexed account, uint128 amount, uint128 staked);
    event Reserved(
        address indexed provider, address indexed requester, uint128 amount, uint64 until
    );
    event Released(address indexed provider, address indexed requester, uint128 amount);
    event Held(address indexed provider, address indexed requester, uint64 until);
    event Slashed(
        address indexed provider, address indexed requester, uint128 amount, uint128 left
    );
    event JurorPenalised(address indexed juror, uint128 amount, uint128 left);
    event DisputesChanged(address disputes);
    event DelaysChanged(uint64 unstakeDelay, uint64 disputeWindow, uint64 reservationMax);
    event JuryWeightMinChanged(uint128 weight);

    error NoAmount();
    error NotFree(uint128 amount, uint128 free);
    error NothingLeaving();
    error TooEarly(uint256 from);
    /// @notice A reservation may only grow, and last longer, while it lives.
    error ReservationShrinks(uint128 amount, uint64 until);
    error ReservationTooLong(uint64 until, uint256 max);
    error ReservationOver(uint64 until);
    error NoReservation(address provider, address requester);
    error SelfReservation();
    error LengthsDiffer();
    error OnlyDisputes(address caller);
    error BelowJuryMinimum(uint128 weight, uint128 min);
    error OutOfBounds(uint256 value, uint256 min, uint256 max);

    /// @notice A dispute can't hold a reservation, or a juror's seat, for longer than this.
    uint64 public constant HOLD_MAX = 90 days;

    /// @notice What is staked.
    IERC20 public immutable token;

    /// @notice The only contract that may take stake.
    address public disputes;
    /// @notice Seconds from asking stake back to getting it.
    uint64 public unstakeDelay = 14 days;
    /// @notice Seconds after a reservation's end in which disputes may begin.
    uint64 public disputeWindow = 7 days;
    /// @notice Seconds a reservation may reach into the future.
    uint64 public reservationMax = 90 days;
    /// @notice Least weight of a juror, so that the pool can't be filled with dust.
    uint128 public juryWeightMin;
    /// @notice Sum of all stakes.
    uint256 public stakedTotal;

    mapping(address account => Stake) public stakes;
    mapping(address provider => mapping(address requester => Reservation)) public reservations;

    modifier onlyDisputes() {
        if (msg.sender != disputes) revert OnlyDisputes(msg.sender);
        _;
    }

    constructor(IERC20 token_, uint128 juryWeightMin_, address owner_) Ownable(owner_) {
        token = token_;
        _setJuryWeightMin(juryWeightMin_);
    }

    // ---- Stake ----

    /// @notice Adds the caller's tokens to an account's stake.
    function stake(address account, uint128 amount) external nonReentrant {
        if (amount == 0) revert NoAmount();
        Stake storage of_ = stakes[account];
        of_.staked += amount;
        stakedTotal += amount;
        emit Staked(account, amount, of_.staked);
        Collect.fromCaller(address(token), amount);
    }

    /// @notice Asks stake back. All that is asked back waits from the last time of asking.
    function requestUnstake(uint128 amount) external {
        if (amount == 0) revert NoAmount();
        Stake storage of_ = stakes[msg.sender];
        uint128 free = _free(of_);
        if (amount > free) revert NotFree(amount, free);
        of_.leaving += amount;
        of_.leavingFrom = uint64(block.timestamp) + unstakeDelay;
        emit UnstakeRequested(msg.sender, amount, of_.leavingFrom);
    }

    /// @notice Keeps what was asked back.
    function cancelUnstake() external {
        Stake storage of_ = stakes[msg.sender];
        uint128 amount = of_.leaving;
        if (amount == 0) revert NothingLeaving();
        of_.leaving = 0;
        emit UnstakeCancelled(msg.sender, amount);
    }

    /// @notice Pays out what was asked back, after the delay.
    function unstake() external nonReentrant {
        Stake storage of_ = stakes[msg.sender];
        uint128 amount = of_.leaving;
        if (amount == 0) revert NothingLeaving();
        if (block.timestamp < of_.leavingFrom) revert TooEarly(of_.leavingFrom);
        of_.leaving = 0;
        of_.staked -= amount;
        stakedTotal -= amount;
        emit Unstaked(msg.sender, amount, of_.staked);
        token.safeTransfer(msg.sender, amount);
    }

    // ---- Reservations ----

    /// @notice Reserves part of the caller's stake for a requester, or adds to what is.
    /// @param amount All of it, not what is added.
    /// @param until The end of the last lease it is to back, seconds since 1970.
    function reserve(address requester, uint128 amount, uint64 until) external {
        _reserve(requester, amount, until);
    }

    /// @notice The same for many requesters.
    function reserveMany(address[] calldata requesters, uint128[] calldata amounts, uint64 until)
        external
    {
        if (requesters.length != amounts.length) revert LengthsDiffer();
        for (uint256 i; i < requesters.length; ++i) {
            _reserve(requesters[i], amounts[i], until);
        }
    }

    /// @notice Frees a reservation whose time, window and disputes are over. Anyone may call it.
    function release(address provider, address requester) external {
        Reservation storage of_ = reservations[provider][requester];
        uint128 amount = of_.amount;
        if (amount == 0) revert NoReservation(provider, requester);
        uint256 from = _releasableFrom(of_);
        if (block.timestamp < from) revert TooEarly(from);
        delete reservations[provider][requester];
        stakes[provider].reserved -= amount;
        emit Released(provider, requester, amount);
    }

    /// @notice What can still be taken for a requester, and until when disputes may begin.
    function backing(address provider, address requester)
        external
        view
        returns (uint128 amount, uint64 until, uint64 disputableUntil)
    {
        Reservation storage of_ = reservations[provider][requester];
        return (of_.amount, of_.until, of_.amount == 0 ? 0 : of_.until + disputeWindow);
    }

    // ---- Jury ----

    /// @notice Takes a seat in the jury with `weight` of the caller's free stake behind it (all of
    /// it, not what is added), or changes it. Zero leaves.
    function setJuryWeight(uint128 weight) external {
        if (weight != 0 && weight < juryWeightMin) revert BelowJuryMinimum(weight, juryWeightMin);
        Stake storage of_ = stakes[msg.sender];
        uint128 locked = of_.juryLocked;
        if (weight < locked && block.timestamp < of_.dutyUntil) revert TooEarly(of_.dutyUntil);
        uint128 free = _free(of_) + locked;
        if (weight > free) revert NotFree(weight, free);
        of_.juryLocked = weight;
        _seat(msg.sender, weight);
    }

    /// @notice Lowers a penalised juror's weight to what is still behind it. Anyone may call it.
    function syncJuror(address juror) external {
        uint128 locked = stakes[juror].juryLocked;
        _seat(juror, locked < juryWeightMin ? 0 : locked);
    }

    // ---- For the dispute contract ----

    /// @notice Begins a draw: the pool stays as it is until `endDraw`.
    function beginDraw() external onlyDisputes {
        ++drawsPending;
    }

    /// @dev Never below zero: draws begun before another dispute contract was named are forgotten.
    function endDraw() external onlyDisputes {
        if (drawsPending > 0) --drawsPending;
    }

    /// @notice Keeps a reservation from being released for a while.
    function hold(address provider, address requester, uint64 until) external onlyDisputes {
        Reservation storage of_ = reservations[provider][requester];
        uint64 to = _capHold(until);
        if (to > of_.heldUntil) {
            of_.heldUntil = to;
            emit Held(provider, requester, to);
        }
    }

    /// @notice Keeps a juror's stake behind its seat for a while.
    function setDuty(address juror, uint64 until) external onlyDisputes {
        uint64 to = _capHold(until);
        if (to > stakes[juror].dutyUntil) stakes[juror].dutyUntil = to;
    }

    /// @notice Takes from what a provider reserved for a requester, to the dispute contract.
    /// @return taken `amount`, or what is left of the reservation.
    function slash(address provider, address requester, uint128 amount)
        external
        onlyDisputes
        nonReentrant
        returns (uint128 taken)
    {
        Reservation storage of_ = reservations[provider][requester];
        taken = amount < of_.amount ? amount : of_.amount;
        of_.amount -= taken;
        stakes[provider].reserved -= taken;
        _take(provider, taken);
        emit Slashed(provider, requester, taken, of_.amount);
    }

    /// @notice Takes from what is behind a juror's seat, to the dispute contract.
    function penalise(address juror, uint128 amount)
        external
        onlyDisputes
        nonReentrant
        returns (uint128 taken)
    {
        Stake storage of_ = stakes[juror];
        taken = amount < of_.juryLocked ? amount : of_.juryLocked;
        of_.juryLocked -= taken;
        _take(juror, taken);
        emit JurorPenalised(juror, taken, of_.juryLocked);
    }

    // ---- Parameters ----

    /// @notice Names the contract that may take stake. Disputes open at the one before end there
    /// unproven, and what it was about to draw is forgotten.
    function setDisputes(address disputes_) external onlyOwner {
        disputes = disputes_;
        drawsPending = 0;
        emit DisputesChanged(disputes_);
    }

    /// @notice In seconds. Stake that leaves must outlast the dispute window.
    function setDelays(uint64 unstakeDelay_, uint64 disputeWindow_, uint64 reservationMax_)
        external
        onlyOwner
    {
        _checkBounds(disputeWindow_, 1 hours, 30 days);
        _checkBounds(unstakeDelay_, uint256(disputeWindow_) + 1 days, 90 days);
        _checkBounds(reservationMax_, 1 days, 365 days);
        unstakeDelay = unstakeDelay_;
        disputeWindow = disputeWindow_;
        reservationMax = reservationMax_;
        emit DelaysChanged(unstakeDelay_, disputeWindow_, reservationMax_);
    }

    function setJuryWeightMin(uint128 weight) external onlyOwner {
        _setJuryWeightMin(weight);
    }

    // ---- Within ----

    function _evidenceWindow() internal view override returns (uint64) {
        return disputeWindow;
    }

    function _reserve(address requester, uint128 amount, uint64 until) private {
        if (requester == msg.sender || requester == address(0)) revert SelfReservation();
        if (amount == 0) revert NoAmount();
        if (until <= block.timestamp) revert ReservationOver(until);
        uint256 max = block.timestamp + reservationMax;
        if (until > max) revert ReservationTooLong(until, max);
        Reservation storage of_ = reservations[msg.sender][requester];
        uint128 before = of_.amount;
        if (amount < before || until < of_.until) revert ReservationShrinks(before, of_.until);
        Stake storage mine = stakes[msg.sender];
        uint128 free = _free(mine);
        if (amount - before > free) revert NotFree(amount - before, free);
        mine.reserved += amount - before;
        of_.amount = amount;
        of_.until = until;
        emit Reserved(msg.sender, requester, amount, until);
    }

    function _setJuryWeightMin(uint128 weight) private {
        // Zero would let dust in.
        _checkBounds(weight, 1, type(uint96).max);
        juryWeightMin = weight;
        emit JuryWeightMinChanged(weight);
    }

    function _take(address account, uint128 amount) private {
        stakes[account].staked -= amount;
        stakedTotal -= amount;
        if (amount > 0) token.safeTransfer(msg.sender, amount);
    }

    function _capHold(uint64 until) private view returns (uint64) {
        uint64 max = uint64(block.timestamp) + HOLD_MAX;
        return until < max ? until : max;
    }

    function _free(Stake storage of_) private view returns (uint128) {
        return of_.staked - of_.reserved - of_.juryLocked - of_.leaving;
    }

    function _releasableFrom(Reservation storage of_) private view returns (uint256) {
        uint256 from = uint256(of_.until) + disputeWindow;
        return from > of_.heldUntil ? from : of_.heldUntil;
    }

    function _checkBounds(uint256 value, uint256 min, uint256 max) private pure {
        if (value < min || value > max) revert OutOfBounds(value, min, max);
    }
}

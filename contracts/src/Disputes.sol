// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

import {Collect} from "./Collect.sol";
import {Juries} from "./Juries.sol";
import {Receipts} from "./Receipts.sol";
import {Registry} from "./Registry.sol";

/// @title Disputes: conflicting signed statements about one task, ended
/// @notice Two roots for one batch prove themselves. A wrong outcome is judged by a jury of
/// re-executors, and once more by a larger one if a party or a dissenter bonds it.
///
/// What must never break: a dispute takes at most what the provider reserved for the requester; a
/// challenger gains at most the price it was billed and its costs; jurors are paid from bonds that
/// were posted before they were drawn; this contract holds all open bonds and all that is owed.
/// @dev Shaped like ERC-792 where that fits (see `arbitrationCost` and below); it does not where
/// disputes are created: evidence is checked at once, and bonds are tokens, not ether.
/// Deliberately not here: executing anything, reputation, planted known cases (jurors can't tell
/// them from others: they are ordinary disputes).
contract Disputes is Juries, EIP712, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    enum Phase {
        None,
        Drawing,
        Voting,
        Tallied, // may be appealed, then executed
        Closed
    }

    struct Dispute {
        address provider;
        address requester;
        address appellant;
        uint128 price; // billed by the receipt
        uint128 bond; // the requester's
        uint128 appealBond;
        bytes32 outcome; // the receipt's
        bytes32 counterOutcome; // the requester's
        bytes32 ruledOutcome;
        Verdict verdict;
        Verdict firstVerdict; // before an appeal
        bytes32 firstOutcome;
        Phase phase;
        bool redrawn; // the round in progress had one jury without a majority
        uint64 appealUntil;
    }

    /// @notice A requester's evidence.
    struct Evidence {
        address provider;
        Receipts.Receipt receipt;
        bytes32[] proof;
        Receipts.Header header;
        bytes signature; // of the header
        bytes backing; // see `backingDigest`
    }

    struct SignedHeader {
        Receipts.Header header;
        bytes signature;
    }

    event DisputeOpened(
        uint256 indexed dispute,
        address indexed provider,
        address indexed requester,
        Receipts.Receipt receipt,
        bytes32 counterOutcome
    );
    event Appealed(uint256 indexed dispute, address indexed appellant);
    event DisputeEnded(
        uint256 indexed dispute,
        Verdict verdict,
        bytes32 outcome,
        uint256 slashed,
        uint256 restitution,
        uint256 burned
    );
    /// @notice This receipt's engine build must not be trusted until somebody knows why.
    event EngineIncidentFound(uint256 indexed dispute, bytes32 indexed task);
    event TwoRootsProven(
        address indexed provider,
        address indexed requester,
        bytes16 indexed lease,
        uint64 batch,
        uint256 slashed
    );
    event Paid(address indexed account, uint256 amount);
    // ERC-792.
    event DisputeCreation(uint256 indexed _disputeID, address indexed _arbitrable);
    event Ruling(address indexed _arbitrable, uint256 indexed _disputeID, uint256 _ruling);

    error KeyNotTheProviders(address provider, address key);
    error NotBacked(address provider, address requester);
    /// @notice This receipt was disputed, or this fraud proven, before.
    error UsedBefore(bytes32 statement);
    error SameOutcome();
    error NotOneBatch();
    error SameHeader();
    error SignersDiffer(address a, address b);
    error WrongPhase(Phase phase);
    error NotAppealable();
    error NotAParty(address caller);
    error AppealOpen(uint64 until);
    error NothingOwed(address account);

    bytes32 public constant BACKING_TYPEHASH =
        keccak256("Backing(bytes16 lease,address requester)");

    /// @notice Where burned tokens go: nobody has the key.
    address public constant BURN = 0x000000000000000000000000000000000000dEaD;

    IERC20 public immutable token;

    /// @notice How many disputes there were; they count from 0.
    uint256 public disputeCount;
    mapping(uint256 dispute => Dispute) private _disputes;
    mapping(uint256 dispute => Terms) private _termsOf;
    mapping(uint256 dispute => bytes32 task) private _taskOf;
    /// @dev Statements that were judged or proven: none is twice.
    mapping(bytes32 statement => bool) private _isUsed;
    /// @notice What an account may take by `withdraw`.
    mapping(address account => uint256) public owed;

    constructor(Registry registry_, Terms memory terms_, address owner_)
        Juries(registry_)
        EIP712("Ayni Disputes", "1")
        Ownable(owner_)
    {
        token = registry_.token();
        _setTerms(terms_);
    }

    // ---- Two roots ----

    /// @notice Slashes what a provider reserved for a requester because it signed two headers for
    /// one batch of their lease. Needs no jury. Anyone may bring it; the reward (at most
    /// `challengerReward`) is the requester's, so there is nothing to snatch; the rest is burned.
    function proveTwoRoots(
        address provider,
        address requester,
        SignedHeader calldata a,
        SignedHeader calldata b,
        bytes calldata backing
    ) external nonReentrant {
        bytes16 lease = a.header.lease;
        if (lease != b.header.lease || a.header.batch != b.header.batch) revert NotOneBatch();
        if (a.header.count == b.header.count && a.header.root == b.header.root) {
            revert SameHeader();
        }
        address key = Receipts.signer(a.header, a.signature);
        address other = Receipts.signer(b.header, b.signature);
        if (key != other) revert SignersDiffer(key, other);
        bytes32 batch = keccak256(abi.encode(provider, requester, lease, a.header.batch));
        _useOnce(batch);
        uint128 reserved = _checkBacked(provider, requester, lease, key, backing);
        Terms memory t = terms();
        uint256 slashed = registry.slash(provider, requester, _part(reserved, t.equivocationBps));
        uint256 reward = slashed < t.challengerReward ? slashed : t.challengerReward;
        owed[requester] += reward;
        emit TwoRootsProven(provider, requester, lease, a.header.batch, slashed);
        _burn(slashed - reward);
    }

    // ---- A dispute's way ----

    /// @notice The requester says that a receipt's outcome is wrong, and bonds it.
    /// @param counterOutcome The digest of what the requester's own execution gave.
    function openDispute(Evidence calldata evidence, bytes32 counterOutcome)
        external
        nonReentrant
        returns (uint256 id)
    {
        Receipts.Receipt calldata receipt = evidence.receipt;
        if (counterOutcome == receipt.outcome || counterOutcome == 0) revert SameOutcome();
        address key = Receipts.check(receipt, evidence.proof, evidence.header, evidence.signature);
        _checkBacked(evidence.provider, msg.sender, receipt.lease, key, evidence.backing);
        bytes32 leaf = keccak256(abi.encode(evidence.provider, Receipts.leaf(receipt)));
        _useOnce(leaf);

        Terms memory t = terms();
        id = disputeCount++;
        Dispute storage d = _disputes[id];
        (d.provider, d.requester) = (evidence.provider, msg.sender);
        (d.outcome, d.counterOutcome) = (receipt.outcome, counterOutcome);
        (d.price, d.bond) = (receipt.price, _challengeBond(t));
        _termsOf[id] = t;
        _taskOf[id] = receipt.task;
        emit DisputeOpened(id, evidence.provider, msg.sender, receipt, counterOutcome);
        emit DisputeCreation(id, msg.sender);
        _begin(id, d, t, t.jurySize);
        Collect.fromCaller(address(token), d.bond);
    }

    /// @notice Seats the jury when its block's hash is known. Anyone may call it, and should within
    /// 256 blocks; later another block is named.
    function draw(uint256 id) external nonReentrant {
        Dispute storage d = _in(id, Phase.Drawing);
        Terms memory t = termsOf(id);
        (bool settled, bool seated) = _drawJury(id, t, [d.provider, d.requester]);
        if (!settled) return;
        if (seated) d.phase = Phase.Voting;
        else _withoutMajority(id, d, t);
    }

    /// @notice A juror commits to its answer; see `commitmentOf`.
    function commit(uint256 id, bytes32 commitment) external {
        _in(id, Phase.Voting);
        _commit(id, commitment);
    }

    /// @notice A juror shows its answer. `Upheld` goes with the receipt's outcome, `Overturned` with
    /// another, `EngineIncident` and `Withheld` with zero outcome and state root.
    function reveal(uint256 id, Verdict verdict, bytes32 outcome, bytes32 stateRoot, bytes32 salt)
        external
    {
        Dispute storage d = _in(id, Phase.Voting);
        _reveal(id, d.outcome, verdict, outcome, stateRoot, salt);
    }

    /// @notice Counts a jury's answers when all are there or time is up. Anyone may call it.
    function tally(uint256 id) external nonReentrant {
        Dispute storage d = _in(id, Phase.Voting);
        Terms memory t = termsOf(id);
        uint256 penalty = _tally(id, t.absenceBps);
        (Jury storage jury,) = _last(id);
        if (jury.verdict == Verdict.None) {
            _withoutMajority(id, d, t);
        } else {
            (d.verdict, d.ruledOutcome, d.phase) = (jury.verdict, jury.outcome, Phase.Tallied);
            // One appeal, then it is final.
            d.appealUntil = d.appellant == address(0)
                ? uint64(block.timestamp) + t.appealWindow
                : uint64(block.timestamp);
            _hold(d, t);
        }
        _burn(penalty);
    }

    /// @notice A party, or a juror who answered otherwise, bonds a second jury of 2m + 1.
    function appeal(uint256 id) external nonReentrant {
        Dispute storage d = _in(id, Phase.Tallied);
        if (d.appellant != address(0) || block.timestamp > d.appealUntil) revert NotAppealable();
        (Jury storage jury,) = _last(id);
        Vote storage vote = jury.votes[msg.sender];
        bool dissents = vote.verdict != Verdict.None && vote.answer != jury.answer;
        if (msg.sender != d.provider && msg.sender != d.requester && !dissents) {
            revert NotAParty(msg.sender);
        }
        Terms memory t = termsOf(id);
        (d.firstVerdict, d.firstOutcome) = (d.verdict, d.ruledOutcome);
        (d.appellant, d.appealBond, d.redrawn) = (msg.sender, _appealBond(t), false);
        emit Appealed(id, msg.sender);
        _begin(id, d, t, 2 * t.jurySize + 1);
        Collect.fromCaller(address(token), d.appealBond);
    }

    /// @notice Ends a dispute that can't be appealed any more: slashes, repays, rewards. Anyone may
    /// call it. What is due is taken by `withdraw`.
    function execute(uint256 id) external nonReentrant {
        Dispute storage d = _in(id, Phase.Tallied);
        if (d.appellant == address(0) && block.timestamp <= d.appealUntil) {
            revert AppealOpen(d.appealUntil);
        }
        _end(id, d);
    }

    /// @notice If this contract no longer is the registry's, its open disputes end unproven.
    function abandon(uint256 id) external nonReentrant {
        Dispute storage d = _disputes[id];
        if (d.phase == Phase.None || d.phase == Phase.Closed) revert WrongPhase(d.phase);
        if (registry.disputes() == address(this)) revert WrongPhase(d.phase);
        (d.verdict, d.ruledOutcome) = (Verdict.None, 0);
        _refundAppeal(d);
        _end(id, d);
    }

    /// @notice Pays what an account is owed. Anyone may call it.
    function withdraw(address account) external nonReentrant {
        uint256 amount = owed[account];
        if (amount == 0) revert NothingOwed(account);
        owed[account] = 0;
        emit Paid(account, amount);
        token.safeTransfer(account, amount);
    }

    // ---- Views, ERC-792 where it fits ----

    /// @notice What a provider's session key signs so that stake backs a lease: "what I reserved for
    /// this requester stands behind this lease". Whoever relies on stake asks for it with the lease.
    function backingDigest(bytes16 lease, address requester) public view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(BACKING_TYPEHASH, lease, requester)));
    }

    /// @notice A challenger's bond, in tokens.
    function arbitrationCost(bytes calldata) external view returns (uint256) {
        return _challengeBond(terms());
    }

    /// @notice An appellant's bond, in tokens.
    function appealCost(uint256 id, bytes calldata) external view returns (uint256) {
        return _appealBond(_termsOf[id]);
    }

    /// @notice 0 waiting, 1 appealable, 2 solved.
    function disputeStatus(uint256 id) external view returns (uint8) {
        Dispute storage d = _disputes[id];
        if (d.phase == Phase.Closed) return 2;
        return d.phase == Phase.Tallied && d.appellant == address(0) ? 1 : 0;
    }

    /// @notice The verdict as it stands: 0 none, 1 upheld, 2 overturned, 3 engine incident,
    /// 4 withheld.
    function currentRuling(uint256 id) external view returns (uint256) {
        return uint256(_disputes[id].verdict);
    }

    function disputeOf(uint256 id) external view returns (Dispute memory) {
        return _disputes[id];
    }

    /// @notice The terms a dispute was opened under.
    function termsOf(uint256 id) public view returns (Terms memory) {
        return _termsOf[id];
    }

    // ---- Within ----

    function _in(uint256 id, Phase phase) private view returns (Dispute storage d) {
        d = _disputes[id];
        if (d.phase != phase) revert WrongPhase(d.phase);
    }

    function _useOnce(bytes32 statement) private {
        if (_isUsed[statement]) revert UsedBefore(statement);
        _isUsed[statement] = true;
    }

    /// @dev That the provider's key signed, that it said its reservation stands behind the lease,
    /// and that there still is one.
    function _checkBacked(
        address provider,
        address requester,
        bytes16 lease,
        address key,
        bytes calldata signature
    ) private view returns (uint128 reserved) {
        uint64 issuedMs = Receipts.issuedMs(lease);
        if (!registry.isBoundBy(provider, key, issuedMs)) revert KeyNotTheProviders(provider, key);
        (address signer, ECDSA.RecoverError failure,) =
            ECDSA.tryRecoverCalldata(backingDigest(lease, requester), signature);
        bool isSigned = failure == ECDSA.RecoverError.NoError && signer == key;
        uint64 until;
        uint64 disputableUntil;
        (reserved, until, disputableUntil) = registry.backing(provider, requester);
        if (
            !isSigned || reserved == 0 || block.timestamp > disputableUntil
                || issuedMs / 1000 > until
        ) revert NotBacked(provider, requester);
    }

    function _begin(uint256 id, Dispute storage d, Terms memory t, uint8 size) private {
        d.phase = Phase.Drawing;
        _hold(d, t);
        _callJury(id, size, t.seedDelay);
    }

    /// @dev For the longest step and the wait for somebody to take the next one.
    function _hold(Dispute storage d, Terms memory t) private {
        uint64 step = uint64(t.commitWindow) + t.revealWindow + t.appealWindow + 7 days;
        registry.hold(d.provider, d.requester, uint64(block.timestamp) + step);
    }

    /// @dev One more jury; after that the first round's verdict stands, or nothing is proven. (Were
    /// an appeal without a jury to end unproven, a small pool would let every loser go.)
    function _withoutMajority(uint256 id, Dispute storage d, Terms memory t) private {
        if (!d.redrawn) {
            d.redrawn = true;
            _begin(id, d, t, d.appellant == address(0) ? t.jurySize : 2 * t.jurySize + 1);
            return;
        }
        if (d.appellant == address(0)) {
            (d.verdict, d.ruledOutcome) = (Verdict.None, 0);
        } else {
            // Nobody answered the appeal: its bond goes back.
            (d.verdict, d.ruledOutcome) = (d.firstVerdict, d.firstOutcome);
            _refundAppeal(d);
        }
        _end(id, d);
    }

    function _refundAppeal(Dispute storage d) private {
        owed[d.appellant] += d.appealBond;
        d.appealBond = 0;
    }

    function _end(uint256 id, Dispute storage d) private {
        d.phase = Phase.Closed;
        Terms memory t = termsOf(id);
        uint256 slashed;
        uint256 restitution;
        uint256 burned;
        if (d.verdict != Verdict.None) {
            uint256 fees = _payJurors(id, d, t);
            (fees, burned) = _settleAppeal(d, fees);
            if (d.verdict == Verdict.Overturned) {
                (slashed, restitution, burned) = _punish(d, t, fees, burned);
            } else {
                uint256 left = d.bond - fees;
                if (d.verdict != Verdict.EngineIncident) {
                    owed[d.provider] += t.defenceFee;
                    left -= t.defenceFee;
                }
                owed[d.requester] += left;
            }
        } else {
            owed[d.requester] += d.bond;
        }
        (d.bond, d.appealBond) = (0, 0);
        if (d.verdict == Verdict.EngineIncident) emit EngineIncidentFound(id, _taskOf[id]);
        emit DisputeEnded(id, d.verdict, d.ruledOutcome, slashed, restitution, burned);
        emit Ruling(d.requester, id, uint256(d.verdict));
        _burn(burned);
    }

    /// @dev Credits every juror who was of the majority of its jury, if that is what was ruled.
    /// @return fees The sum.
    function _payJurors(uint256 id, Dispute storage d, Terms memory t)
        private
        returns (uint256 fees)
    {
        uint256 fee = d.verdict >= Verdict.EngineIncident ? t.incidentFee : t.jurorFee;
        Jury[] storage all = _juries[id];
        for (uint256 i; i < all.length; ++i) {
            Jury storage jury = all[i];
            if (jury.verdict != d.verdict || jury.outcome != d.ruledOutcome) continue;
            for (uint256 j; j < jury.members.length; ++j) {
                address juror = jury.members[j];
                if (jury.votes[juror].answer != jury.answer) continue;
                owed[juror] += fee;
                fees += fee;
            }
        }
    }

    /// @dev An appeal that changed the ruling gets its bond back. One that did not pays jurors; what
    /// is left of it is burned.
    function _settleAppeal(Dispute storage d, uint256 fees)
        private
        returns (uint256 feesLeft, uint256 burned)
    {
        uint256 bond = d.appealBond;
        if (bond == 0) return (fees, 0);
        if (d.verdict != d.firstVerdict || d.ruledOutcome != d.firstOutcome) {
            owed[d.appellant] += bond;
            return (fees, 0);
        }
        return fees > bond ? (fees - bond, uint256(0)) : (uint256(0), bond - fees);
    }

    /// @dev From the reservation: jurors, the price back, the challenger's costs; the rest burns.
    /// The bond steps in if the reservation can't pay the jurors.
    function _punish(Dispute storage d, Terms memory t, uint256 fees, uint256 burned)
        private
        returns (uint256 slashed, uint256 restitution, uint256)
    {
        (uint128 reserved,,) = registry.backing(d.provider, d.requester);
        slashed = registry.slash(d.provider, d.requester, _part(reserved, t.slashBps));
        uint256 left = slashed;
        uint256 bond = d.bond;
        if (fees > left) {
            bond -= fees - left;
            left = 0;
        } else {
            left -= fees;
        }
        restitution = left < d.price ? left : d.price;
        left -= restitution;
        uint256 reward = left < t.challengerReward ? left : t.challengerReward;
        owed[d.requester] += bond + restitution + reward;
        return (slashed, restitution, burned + left - reward);
    }

    function _part(uint128 amount, uint16 bps) private pure returns (uint128) {
        return uint128(uint256(amount) * bps / 10_000);
    }

    /// @dev A token that refuses the burn address keeps the amount here, owed to it.
    function _burn(uint256 amount) private {
        if (amount > 0 && !token.trySafeTransfer(BURN, amount)) owed[BURN] += amount;
    }
}

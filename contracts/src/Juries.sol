// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Blockhash} from "@openzeppelin/contracts/utils/Blockhash.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {DisputeTerms} from "./DisputeTerms.sol";
import {Registry} from "./Registry.sol";

/// @title Juries: drawing, commitments, answers, majorities
/// @notice A jury is drawn from the registry's pool by the hash of a block that did not exist when
/// the draw began. Each juror executes the task, commits to verdict, outcome and the root of state
/// digests at fuel points drawn after the jury (`pointSeed`), and reveals when all have committed
/// or time is up. Answers count as equal only with equal state roots: who copies an outcome that is
/// public, without executing, has no root and is no part of a majority.
/// @dev The hash can be biased by whoever makes the block (by withholding it, one bit a block); on a
/// rollup it is the sequencer's word, on a local ledger its operator's. Deliberately not here:
/// money.
abstract contract Juries is DisputeTerms {
    enum Verdict {
        None, // no majority
        Upheld, // the receipt's outcome is right
        Overturned, // another outcome is
        EngineIncident, // the receipt's engine build contradicts itself; nobody is to blame
        Withheld // the challenger did not show the jury what it is to execute
    }

    struct Vote {
        bytes32 commitment;
        bytes32 answer; // hash of verdict, outcome and state root, once revealed
        bytes32 outcome;
        Verdict verdict; // once revealed
        bool seated;
    }

    struct Jury {
        uint64 seedBlock;
        uint64 commitUntil; // seconds since 1970
        uint64 revealUntil;
        uint8 size; // wanted
        uint8 committed;
        uint8 revealed;
        Verdict verdict; // of the majority
        bytes32 answer; // of the majority
        bytes32 outcome; // of the majority
        address[] members;
        mapping(address juror => Vote) votes;
    }

    /// @notice A jury as it is shown.
    struct JuryView {
        uint64 seedBlock;
        uint64 commitUntil;
        uint64 revealUntil;
        uint8 size;
        uint8 committed;
        uint8 revealed;
        Verdict verdict;
        bytes32 outcome;
        address[] members;
    }

    event JuryCalled(uint256 indexed dispute, uint256 indexed jury, uint8 size, uint64 seedBlock);
    /// @notice Fuel points follow from `pointSeed`.
    event JuryDrawn(
        uint256 indexed dispute,
        uint256 indexed jury,
        address[] members,
        bytes32 pointSeed,
        uint64 commitUntil,
        uint64 revealUntil
    );
    event Committed(uint256 indexed dispute, uint256 indexed jury, address indexed juror);
    event Revealed(
        uint256 indexed dispute,
        uint256 indexed jury,
        address indexed juror,
        Verdict verdict,
        bytes32 outcome,
        bytes32 stateRoot
    );
    event JuryTallied(
        uint256 indexed dispute, uint256 indexed jury, Verdict verdict, bytes32 outcome
    );

    error NotAJuror(address caller);
    error CommittedBefore();
    error CommitOver(uint64 until);
    error RevealNotOpen(uint64 commitUntil);
    error RevealOver(uint64 until);
    error WrongReveal();
    error ImpossibleAnswer(Verdict verdict, bytes32 outcome);
    error NotDrawable(uint64 seedBlock);
    error StillVoting(uint64 until);

    Registry public immutable registry;

    mapping(uint256 dispute => Jury[]) internal _juries;

    constructor(Registry registry_) {
        registry = registry_;
    }

    /// @notice The hash that a juror commits to.
    function commitmentOf(
        uint256 dispute,
        uint256 jury,
        address juror,
        Verdict verdict,
        bytes32 outcome,
        bytes32 stateRoot,
        bytes32 salt
    ) public view returns (bytes32) {
        bytes32 answer = keccak256(abi.encode(verdict, outcome, stateRoot, salt));
        return keccak256(abi.encode(block.chainid, address(this), dispute, jury, juror, answer));
    }

    /// @notice How many juries a dispute had so far.
    function juryCount(uint256 dispute) external view returns (uint256) {
        return _juries[dispute].length;
    }

    /// @notice A jury of a dispute: who sits in it, by when it must answer, what it found.
    function juryOf(uint256 dispute, uint256 jury) external view returns (JuryView memory) {
        Jury storage of_ = _juries[dispute][jury];
        return JuryView(
            of_.seedBlock,
            of_.commitUntil,
            of_.revealUntil,
            of_.size,
            of_.committed,
            of_.revealed,
            of_.verdict,
            of_.outcome,
            of_.members
        );
    }

    function _commit(uint256 dispute, bytes32 commitment) internal {
        (Jury storage jury, uint256 number) = _last(dispute);
        Vote storage vote = jury.votes[msg.sender];
        if (!vote.seated) revert NotAJuror(msg.sender);
        if (vote.commitment != 0) revert CommittedBefore();
        if (block.timestamp > jury.commitUntil) revert CommitOver(jury.commitUntil);
        if (commitment == 0) revert WrongReveal();
        vote.commitment = commitment;
        if (++jury.committed == jury.size) {
            // Nobody is waited for: the time to reveal begins now.
            jury.revealUntil -= jury.commitUntil - uint64(block.timestamp);
            jury.commitUntil = uint64(block.timestamp);
        }
        emit Committed(dispute, number, msg.sender);
    }

    function _reveal(
        uint256 dispute,
        bytes32 disputed,
        Verdict verdict,
        bytes32 outcome,
        bytes32 stateRoot,
        bytes32 salt
    ) internal {
        (Jury storage jury, uint256 number) = _last(dispute);
        Vote storage vote = jury.votes[msg.sender];
        if (!vote.seated) revert NotAJuror(msg.sender);
        if (jury.committed < jury.size && block.timestamp <= jury.commitUntil) {
            revert RevealNotOpen(jury.commitUntil);
        }
        if (block.timestamp > jury.revealUntil) revert RevealOver(jury.revealUntil);
        bytes32 expected =
            commitmentOf(dispute, number, msg.sender, verdict, outcome, stateRoot, salt);
        if (vote.commitment != expected || vote.verdict != Verdict.None) revert WrongReveal();
        bool possible = verdict == Verdict.Upheld
            ? outcome == disputed
            : verdict == Verdict.Overturned
                ? outcome != disputed && outcome != 0
                : verdict != Verdict.None && outcome == 0 && stateRoot == 0;
        if (!possible) revert ImpossibleAnswer(verdict, outcome);
        vote.verdict = verdict;
        vote.outcome = outcome;
        vote.answer = keccak256(abi.encode(verdict, outcome, stateRoot));
        ++jury.revealed;
        emit Revealed(dispute, number, msg.sender, verdict, outcome, stateRoot);
    }

    /// @dev Asks for a jury; its seed is a block to come.
    function _callJury(uint256 dispute, uint8 size, uint8 seedDelay) internal {
        Jury storage jury = _juries[dispute].push();
        jury.size = size;
        jury.seedBlock = uint64(block.number) + seedDelay;
        registry.beginDraw();
        emit JuryCalled(dispute, _juries[dispute].length - 1, size, jury.seedBlock);
    }

    /// @dev Seats the jury if its seed is known. If nobody asked in time the seed is lost, and
    /// another block is named.
    /// @return settled Whether the seed was known.
    /// @return seated Whether there were jurors enough.
    function _drawJury(uint256 dispute, Terms memory t, address[2] memory parties)
        internal
        returns (bool settled, bool seated)
    {
        (Jury storage jury, uint256 number) = _last(dispute);
        if (block.number <= jury.seedBlock) revert NotDrawable(jury.seedBlock);
        bytes32 seed = Blockhash.blockHash(jury.seedBlock);
        if (seed == 0) {
            jury.seedBlock = uint64(block.number) + t.seedDelay;
            emit JuryCalled(dispute, number, jury.size, jury.seedBlock);
            return (false, false);
        }
        seed = keccak256(abi.encode(seed, address(this), dispute, number));
        registry.endDraw();
        if (!_seatJury(dispute, jury, seed, parties)) {
            // They may sit in the next one.
            for (uint256 i; i < jury.members.length; ++i) {
                delete jury.votes[jury.members[i]];
            }
            delete jury.members;
            return (true, false);
        }
        jury.commitUntil = uint64(block.timestamp) + t.commitWindow;
        jury.revealUntil = jury.commitUntil + t.revealWindow;
        uint64 duty = jury.revealUntil + 7 days;
        for (uint256 i; i < jury.members.length; ++i) {
            registry.setDuty(jury.members[i], duty);
        }
        emit JuryDrawn(
            dispute,
            number,
            jury.members,
            keccak256(abi.encode(seed, "points")),
            jury.commitUntil,
            jury.revealUntil
        );
        return (true, true);
    }

    function _seatJury(uint256 dispute, Jury storage jury, bytes32 seed, address[2] memory parties)
        private
        returns (bool)
    {
        if (registry.juryWeight() == 0) return false;
        uint256 tries = 4 * uint256(jury.size) + 16;
        for (uint256 i; i < tries && jury.members.length < jury.size; ++i) {
            address juror = registry.drawJuror(uint256(keccak256(abi.encode(seed, i))));
            if (juror == parties[0] || juror == parties[1] || _satBefore(dispute, juror)) continue;
            jury.members.push(juror);
            jury.votes[juror].seated = true;
        }
        return jury.members.length == jury.size;
    }

    /// @dev Nobody judges one dispute twice, nor sits twice in one jury.
    function _satBefore(uint256 dispute, address juror) private view returns (bool) {
        Jury[] storage all = _juries[dispute];
        for (uint256 i; i < all.length; ++i) {
            if (all[i].votes[juror].seated) return true;
        }
        return false;
    }

    /// @dev Finds the answer of more than half of all members, present or not; takes a part of what
    /// is behind the seats of those who did not answer.
    /// @return penalty What was taken.
    function _tally(uint256 dispute, uint16 absenceBps) internal returns (uint256 penalty) {
        (Jury storage jury, uint256 number) = _last(dispute);
        if (jury.revealed < jury.size && block.timestamp <= jury.revealUntil) {
            revert StillVoting(jury.revealUntil);
        }
        uint256 size = jury.members.length;
        for (uint256 i; i < size; ++i) {
            Vote storage vote = jury.votes[jury.members[i]];
            if (vote.verdict == Verdict.None) {
                penalty += _penalise(jury.members[i], absenceBps);
                continue;
            }
            uint256 equal;
            for (uint256 j; j < size; ++j) {
                if (jury.votes[jury.members[j]].answer == vote.answer) ++equal;
            }
            if (2 * equal > size) {
                (jury.verdict, jury.outcome, jury.answer) =
                (vote.verdict, vote.outcome, vote.answer);
            }
        }
        emit JuryTallied(dispute, number, jury.verdict, jury.outcome);
    }

    function _penalise(address juror, uint16 absenceBps) private returns (uint256) {
        (, uint128 weight) = registry.seats(juror);
        // Rounded up: nobody is absent for nothing.
        uint256 amount = Math.ceilDiv(uint256(weight) * absenceBps, 10_000);
        return registry.penalise(juror, uint128(amount));
    }

    function _last(uint256 dispute) internal view returns (Jury storage jury, uint256 number) {
        number = _juries[dispute].length - 1;
        return (_juries[dispute][number], number);
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";

/// @title DisputeTerms: what a dispute costs and how long it takes
/// @notice Set by the owner within bounds in code. A dispute keeps the terms it was opened under.
/// Amounts are in the token's smallest unit, times in seconds.
abstract contract DisputeTerms is Ownable {
    struct Terms {
        uint96 jurorFee; // to each juror who is right
        uint96 incidentFee; // the same, when the engine is to blame; at most `jurorFee`
        uint96 defenceFee; // to a provider who was right
        uint96 challengerReward; // to a challenger who was right, at most; its costs
        uint32 commitWindow;
        uint32 revealWindow;
        uint32 appealWindow;
        uint16 slashBps; // of the reservation, when a receipt is overturned
        uint16 equivocationBps; // of the reservation, when two roots are proven
        uint16 absenceBps; // of a juror's weight, when it does not answer
        uint8 jurySize; // m of the first round, odd; the second has 2m + 1
        uint8 seedDelay; // blocks until the one whose hash draws the jury
    }

    event TermsChanged(Terms terms);

    /// @dev `term` is the field's name as text.
    error TermOutOfBounds(bytes32 term, uint256 value, uint256 min, uint256 max);

    Terms private _terms;

    function terms() public view returns (Terms memory) {
        return _terms;
    }

    function setTerms(Terms memory terms_) external onlyOwner {
        _setTerms(terms_);
    }

    function _setTerms(Terms memory t) internal {
        _bound("jurorFee", t.jurorFee, 1, type(uint88).max);
        _bound("incidentFee", t.incidentFee, 0, t.jurorFee);
        _bound("defenceFee", t.defenceFee, 0, type(uint88).max);
        // What a challenger can gain is never more than what it risks.
        uint256 bond = _challengeBond(t);
        _bound("challengerReward", t.challengerReward, 0, bond);
        _bound("commitWindow", t.commitWindow, 10 minutes, 7 days);
        _bound("revealWindow", t.revealWindow, 10 minutes, 7 days);
        _bound("appealWindow", t.appealWindow, 10 minutes, 7 days);
        _bound("slashBps", t.slashBps, 1000, 10_000);
        _bound("equivocationBps", t.equivocationBps, 1000, 10_000);
        _bound("absenceBps", t.absenceBps, 1, 1000);
        _bound("jurySize", t.jurySize, 1, 15);
        if (t.jurySize % 2 == 0) revert TermOutOfBounds("jurySize", t.jurySize, 1, 15);
        _bound("seedDelay", t.seedDelay, 1, 64);
        _terms = t;
        emit TermsChanged(t);
    }

    /// @dev Both juries, and the provider's trouble: whatever comes, jurors are paid.
    function _challengeBond(Terms memory t) internal pure returns (uint128) {
        return (3 * uint128(t.jurySize) + 1) * t.jurorFee + t.defenceFee;
    }

    function _appealBond(Terms memory t) internal pure returns (uint128) {
        return (2 * uint128(t.jurySize) + 1) * t.jurorFee;
    }

    function _bound(bytes32 term, uint256 value, uint256 min, uint256 max) private pure {
        if (value < min || value > max) revert TermOutOfBounds(term, value, min, max);
    }
}

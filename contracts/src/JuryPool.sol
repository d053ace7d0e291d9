// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

/// @title JuryPool: stakers who are willing to judge, drawn by weight
/// @notice A Fenwick tree over weights: joining, leaving and drawing cost O(log n) whatever the
/// order in which jurors came. While a draw is pending the pool is frozen: its members and weights
/// are settled before the randomness is known, so nobody can join, leave or wait its way into a
/// jury.
/// @dev Deliberately not here: money (`Registry`), randomness and duties (`Disputes`).
abstract contract JuryPool {
    struct Seat {
        uint32 index; // in the tree, from 1; kept when the juror leaves
        uint128 weight; // in the token's smallest unit; zero: not in the pool
    }

    event JurorSeated(address indexed juror, uint128 weight);

    /// @notice A jury is about to be drawn. Try again when it is (anyone may call `draw`).
    error JuryFrozen(uint256 drawsPending);
    /// @notice Nobody is in the pool.
    error NoJurors();

    /// @notice Draws whose randomness is not settled yet.
    uint256 public drawsPending;

    mapping(address juror => Seat) public seats;
    address[] private _bySeat = [address(0)];
    uint128[] private _tree = [0];

    /// @notice The sum of all weights.
    function juryWeight() public view returns (uint128) {
        return _prefix(_tree.length - 1);
    }

    /// @notice Who holds the ticket that `random` names. Equal calls give equal answers while the
    /// pool is frozen.
    function drawJuror(uint256 random) external view returns (address) {
        uint128 total = juryWeight();
        if (total == 0) revert NoJurors();
        return _bySeat[_find(uint128(random % total))];
    }

    /// @dev Sets a juror's weight; zero takes it out.
    function _seat(address juror, uint128 weight) internal {
        if (drawsPending != 0) revert JuryFrozen(drawsPending);
        Seat storage seat = seats[juror];
        uint128 before = seat.weight;
        if (weight == before) return;
        seat.weight = weight;
        if (seat.index == 0) {
            seat.index = uint32(_tree.length);
            _bySeat.push(juror);
            _append(weight);
        } else {
            _change(seat.index, before, weight);
        }
        emit JurorSeated(juror, weight);
    }

    /// @dev A new leaf: its node covers the `lowbit` leaves that end with it.
    function _append(uint128 weight) private {
        uint256 index = _tree.length;
        uint128 sum = weight;
        for (uint256 step = 1; step < (index & (~index + 1)); step <<= 1) {
            sum += _tree[index - step];
        }
        _tree.push(sum);
    }

    function _change(uint256 index, uint128 before, uint128 weight) private {
        uint256 length = _tree.length;
        while (index < length) {
            _tree[index] = _tree[index] - before + weight;
            index += index & (~index + 1);
        }
    }

    function _prefix(uint256 index) private view returns (uint128 sum) {
        while (index > 0) {
            sum += _tree[index];
            index &= index - 1;
        }
    }

    /// @dev The seat at which the running sum first exceeds `ticket`.
    function _find(uint128 ticket) private view returns (uint256 index) {
        uint256 length = _tree.length;
        uint256 step = 1;
        while (step << 1 < length) step <<= 1;
        for (; step > 0; step >>= 1) {
            uint256 next = index + step;
            if (next < length && _tree[next] <= ticket) {
                ticket -= _tree[next];
                index = next;
            }
        }
        ++index;
    }
}

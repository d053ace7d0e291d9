// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

/// @title NodeKeys: which node an account says it is, and which keys sign for it
/// @notice A node is an Ed25519 key, which no contract here can check. So a binding is a claim with
/// the node's signature beside it in the log: whoever relies on it checks that signature over
/// `bindingMessage`.
/// @dev There is no map from node to account: it would be first come first served, and anyone could
/// take a stranger's node id. Look for `NodeBound` by node id, and take the last whose signature
/// holds and whose account still says so (`nodeOf`).
///
/// A session key signs batches. It needs no consent: naming a key only binds the account that
/// names it. A key is authorised once for each account, may be extended while it lives, and is
/// never revived, so that its history can't be rewritten.
abstract contract NodeKeys {
    struct KeyGrant {
        uint64 from; // seconds since 1970
        uint64 until; // leases issued before are signed by it
    }

    event NodeBound(bytes32 indexed node, address indexed account, bytes32 r, bytes32 s);
    event NodeUnbound(bytes32 indexed node, address indexed account);
    event KeyAuthorised(address indexed account, address indexed key, uint64 from, uint64 until);
    event KeyRevoked(address indexed account, address indexed key, uint64 from);

    error NoNode();
    error NoKey();
    error KeyNotLive(address key);
    error KeyExpiryOutOfRange(uint64 until, uint256 min, uint256 max);
    error KeyUsedBefore(address key);

    /// @notice Longest life of a session key from now on.
    uint64 public constant KEY_LIFE_MAX = 400 days;
    /// @notice How far the clock by which a lease was issued may be off the chain's.
    uint64 public constant CLOCK_SKEW = 3 hours;

    /// @notice What an account says it is; zero: nothing.
    mapping(address account => bytes32 node) public nodeOf;
    mapping(address account => mapping(address key => KeyGrant)) public keys;

    /// @notice Says that the caller's account is a node's.
    /// @param node The node's Ed25519 key.
    /// @param r First half of the node's Ed25519 signature of `bindingMessage`.
    /// @param s Second half.
    function bindNode(bytes32 node, bytes32 r, bytes32 s) external {
        if (node == 0) revert NoNode();
        nodeOf[msg.sender] = node;
        emit NodeBound(node, msg.sender, r, s);
    }

    function unbindNode() external {
        bytes32 node = nodeOf[msg.sender];
        if (node == 0) revert NoNode();
        delete nodeOf[msg.sender];
        emit NodeUnbound(node, msg.sender);
    }

    /// @notice What the node signs: `ayni account 1`, a zero byte, chain id (8 bytes, big-endian),
    /// this contract, the account.
    function bindingMessage(address account) external view returns (bytes memory) {
        return abi.encodePacked(
            "ayni account 1", bytes1(0), uint64(block.chainid), address(this), account
        );
    }

    /// @notice Lets a key sign batches for the caller until then, or longer than before.
    function authoriseKey(address key, uint64 until) external {
        if (key == address(0)) revert NoKey();
        uint64 time = uint64(block.timestamp);
        KeyGrant storage grant = keys[msg.sender][key];
        uint64 max = time + KEY_LIFE_MAX;
        uint64 min = grant.until > time ? grant.until : time;
        if (until <= min || until > max) revert KeyExpiryOutOfRange(until, min, max);
        if (grant.from == 0) grant.from = time;
        else if (grant.until <= time) revert KeyUsedBefore(key);
        grant.until = until;
        emit KeyAuthorised(msg.sender, key, grant.from, until);
    }

    /// @notice From now on the key signs nothing. What it signed under leases issued before stays
    /// the caller's word.
    function revokeKey(address key) external {
        KeyGrant storage grant = keys[msg.sender][key];
        if (grant.until <= block.timestamp) revert KeyNotLive(key);
        grant.until = uint64(block.timestamp);
        emit KeyRevoked(msg.sender, key, grant.until);
    }

    /// @notice Whether what a key signs under a lease binds the account, now.
    /// @dev After the key's end, evidence is good for the dispute window: a thief who backdates
    /// leases with an old key comes too late after that.
    /// @param issuedMs When the lease was issued, milliseconds since 1970.
    function isBoundBy(address account, address key, uint64 issuedMs) public view returns (bool) {
        KeyGrant storage grant = keys[account][key];
        if (grant.from == 0) return false;
        uint256 issued = issuedMs / 1000;
        return issued + CLOCK_SKEW >= grant.from && issued < uint256(grant.until) + CLOCK_SKEW
            && block.timestamp <= uint256(grant.until) + _evidenceWindow();
    }

    /// @dev Seconds after a key's end in which its signatures are still evidence.
    function _evidenceWindow() internal view virtual returns (uint64);
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// Heads of append-only logs, for all to see and for nobody to change (docs/operations/anchor.md).
///
/// Nobody administers this contract, and nothing in it is ever replaced. Whoever calls it writes
/// under his own account only: what an account says of a log counts for those who know, by their
/// roster, that the account is that log's. So nobody can take a log's place, nor fill it.
///
/// It asks for no time: what `block.timestamp` counts in differs from chain to chain.
contract ChopmarkAnchor {
    /// The newest head that an account has anchored of a log.
    struct Latest {
        uint64 number; // how many it has anchored: 0 before the first
        uint64 size; // entries of the log under that head
        uint64 atBlock; // the block in which it was anchored
        bytes32 noteHash; // SHA-256 of the checkpoint note
    }

    /// Far more than a checkpoint note with its cosignatures needs.
    uint256 public constant MAX_NOTE = 16384;

    mapping(address account => mapping(bytes32 origin => Latest)) private _latest;

    /// One head was anchored. `number` counts from 1 without a gap for each account and origin, and
    /// `previousBlock` is where the one before it stands, so that a reader can show that none is
    /// missing.
    event Anchored(
        address indexed account,
        bytes32 indexed origin,
        uint64 indexed number,
        uint64 size,
        uint64 previousBlock,
        bytes note
    );

    /// A head as large as this one was anchored already.
    error NotLarger(uint64 size);
    /// The note is empty, or larger than MAX_NOTE.
    error BadNote(uint256 length);
    /// As many accounts as origins are due.
    error Uneven();

    /// Anchor a head that is larger than the one before it.
    /// @param origin SHA-256 of the log's origin
    /// @param size entries under the head
    /// @param note the signed checkpoint; it is kept in the event alone
    function anchor(bytes32 origin, uint64 size, bytes calldata note) external {
        Latest storage last = _latest[msg.sender][origin];
        if (size <= last.size) revert NotLarger(last.size);
        if (note.length == 0 || note.length > MAX_NOTE) revert BadNote(note.length);
        uint64 number = last.number + 1;
        emit Anchored(msg.sender, origin, number, size, last.atBlock, note);
        last.number = number;
        last.size = size;
        last.atBlock = uint64(block.number);
        last.noteHash = sha256(note);
    }

    /// The newest head of one log; all zero before the first.
    function latest(address account, bytes32 origin) external view returns (Latest memory) {
        return _latest[account][origin];
    }

    /// The newest heads of many logs, in one call.
    function latestOf(
        address[] calldata accounts,
        bytes32[] calldata origins
    ) external view returns (Latest[] memory found) {
        if (accounts.length != origins.length) revert Uneven();
        found = new Latest[](accounts.length);
        for (uint256 i = 0; i < accounts.length; i++) {
            found[i] = _latest[accounts[i]][origins[i]];
        }
    }
}

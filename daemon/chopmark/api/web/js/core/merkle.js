// The Merkle tree of RFC 9162 with SHA-256: from a leaf to the root.

import { sha256 } from "../../vendor/noble.js";
import { concat } from "./bytes.js";
import { RefusedError } from "./errors.js";

/** Root of the tree without leaves. */
export const EMPTY_ROOT = sha256(new Uint8Array());

/** Hash of one leaf: SHA-256(0x00 ‖ entry). */
export const leafHash = (entry) => sha256(concat(Uint8Array.of(0), entry));

/** Hash of an interior node: SHA-256(0x01 ‖ left ‖ right). */
export const nodeHash = (left, right) => sha256(concat(Uint8Array.of(1), left, right));

/**
 * The way of an inclusion proof (RFC 9162 §2.1.3.2), from the leaf to the root.
 * @param {Uint8Array} leaf
 * @param {bigint} index
 * @param {bigint} size
 * @param {Uint8Array[]} proof
 * @returns {{side: "left" | "right", sibling: Uint8Array, hash: Uint8Array}[]} for each hash of the
 *   proof on which side of ours it stands, and what both come to; the last one's is the root
 * @throws {RefusedError} `bad-inclusion` if the proof cannot belong to this index and size
 */
export function climb(leaf, index, size, proof) {
  if (index < 0n || index >= size || leaf.length !== 32) {
    throw new RefusedError("bad-inclusion", `no leaf ${index} in a tree of ${size}`);
  }
  let [position, last, hash] = [index, size - 1n, leaf];
  const steps = [];
  for (const sibling of proof) {
    if (last === 0n || sibling.length !== 32) {
      throw new RefusedError("bad-inclusion", "the inclusion proof is too long");
    }
    const isRight = (position & 1n) === 1n || position === last;
    hash = isRight ? nodeHash(sibling, hash) : nodeHash(hash, sibling);
    steps.push({ side: isRight ? "left" : "right", sibling, hash });
    while (isRight && (position & 1n) === 0n && position !== 0n) {
      [position, last] = [position >> 1n, last >> 1n];
    }
    [position, last] = [position >> 1n, last >> 1n];
  }
  if (last !== 0n) throw new RefusedError("bad-inclusion", "the inclusion proof is too short");
  return steps;
}

/** The root that an inclusion proof leads to; as `climb`. @returns {Uint8Array} */
export const rootFromInclusion = (leaf, index, size, proof) =>
  climb(leaf, index, size, proof).at(-1)?.hash ?? leaf;

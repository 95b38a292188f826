/**
 * What the page shows of a proof (docs/formats/proof.md): its index, its path, its head. The gateway
 * has verified it; here it is taken apart, and the path computed once more.
 */

import { equal, fromHex, utf8 } from "../core/bytes.js";
import { compare, readAttestation } from "../core/check.js";
import { parseEntry } from "../core/entry.js";
import { climb, leafHash } from "../core/merkle.js";
import { parseNote } from "../core/note.js";
import { parseExtra, parseProof } from "../core/proof.js";

/**
 * The way that a proof goes.
 * @param {string} text of a `.tlog-proof`
 * @param {Record<string, string> | null} digests of the document, in hexadecimal; null without one
 * @returns {{match: string, index: bigint, origin: string, size: bigint, signers: string[], reaches: boolean,
 *   steps: {hash: Uint8Array, sibling: Uint8Array | null, side: "left" | "right" | null}[]}} steps
 *   from the leaf up: the sibling stands on that side of the hash; the last one is what it comes
 *   to, and `reaches` says whether that is the root; `match` whether the document is the entry's
 *   (see `compare`)
 * @throws {Error} if it is no proof of ours
 */
export function readWay(text, digests) {
  const { index, hashes, note, extra, checkpoint } = parseProof(utf8(text));
  const { entry, salt } = parseExtra(extra);
  const leaf = leafHash(entry);
  const climbed = climb(leaf, index, checkpoint.size, hashes);
  const reached = [leaf, ...climbed.map((step) => step.hash)];
  const steps = reached.map((hash, at) => ({ hash, sibling: climbed[at]?.sibling ?? null, side: climbed[at]?.side ?? null }));
  return {
    match: matchOf(entry, salt, checkpoint.origin, digests),
    index, origin: checkpoint.origin, size: checkpoint.size, steps,
    signers: parseNote(note).signatures.map(({ name }) => name),
    reaches: equal(reached.at(-1), checkpoint.root),
  };
}

function matchOf(data, salt, origin, digests) {
  const { entry } = readAttestation(data);
  if (entry === null || digests === null) return "no-document";
  const given = { sha256: fromHex(digests.sha256), sm3: digests.sm3 ? fromHex(digests.sm3) : null };
  return compare(entry, given, origin, salt);
}

/** Whether the entry in a proof names an SM3 digest. */
export function namesSm3(text) {
  try {
    return Boolean(parseEntry(parseExtra(parseProof(utf8(text)).extra).entry).sm3);
  } catch {
    return false; // the gateway says what is wrong
  }
}

/**
 * What the page shows of a proof (docs/formats/proof.md): its index, its path, its head. The gateway
 * has verified it; here it is taken apart, and the path computed once more.
 */

import { decode } from "../../vendor/cborg.js";

const HEADER = "c2sp.org/tlog-proof@v1";
const SM3 = -65793;
const LEAF = 0;
const NODE = 1;

/**
 * Take a proof apart.
 * @param {string} text
 * @returns {{entry: Uint8Array, index: bigint, hashes: Uint8Array[], origin: string, size: bigint,
 *   root: Uint8Array, signers: string[]} | null} null if it is none
 */
export function readProof(text) {
  try {
    const [head, body, ...rest] = text.split("\n\n");
    const lines = head.split("\n");
    if (lines.shift() !== HEADER || body === undefined) return null;
    const extra = lines.shift().replace(/^extra /, "");
    const index = BigInt(lines.shift().replace(/^index /, ""));
    const [origin, size, root] = body.split("\n");
    const signers = [...rest.join("\n\n").matchAll(/^— (\S+) \S+$/gm)].map(([, name]) => name);
    const entry = cbor(bytes(extra)).get(0);
    return { entry, index, hashes: lines.map(bytes), origin, size: BigInt(size), root: bytes(root), signers };
  } catch {
    return null;
  }
}

/** Whether the entry in a proof names an SM3 digest. */
export function namesSm3(text) {
  try {
    return text !== null && cbor(readProof(text).entry).get(3).has(SM3);
  } catch {
    return false; // the gateway says what is wrong
  }
}

/**
 * Every step from the entry to the root (RFC 9162 §2.1.3.2).
 * @returns {Promise<{hash: Uint8Array, sibling: Uint8Array | null, side: "left" | "right" | null}[]>}
 *   from the leaf up; the sibling stands on that side of the hash before; the last one is the root
 */
export async function climb({ entry, index, hashes, size }) {
  let hash = await join(LEAF, entry);
  let [at, last] = [index, size - 1n];
  const steps = [];
  for (const sibling of hashes) {
    const left = Boolean(at & 1n) || at === last;
    steps.push({ hash, sibling, side: left ? "left" : "right" });
    hash = left ? await join(NODE, sibling, hash) : await join(NODE, hash, sibling);
    while (left && !(at & 1n) && at !== 0n) [at, last] = [at >> 1n, last >> 1n];
    [at, last] = [at >> 1n, last >> 1n];
  }
  return [...steps, { hash, sibling: null, side: null }];
}

/** Whether two hashes are the same. */
export const same = (a, b) => a.length === b.length && a.every((one, at) => one === b[at]);

/** Bytes as hexadecimal. */
export const hex = (some) => Array.from(some, (one) => one.toString(16).padStart(2, "0")).join("");

async function join(mark, ...parts) {
  const whole = new Uint8Array(1 + parts.reduce((sum, part) => sum + part.length, 0));
  whole[0] = mark;
  let at = 1;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return new Uint8Array(await crypto.subtle.digest("SHA-256", whole));
}

const cbor = (some) => decode(some, { useMaps: true, strict: true });

function bytes(base64) {
  return Uint8Array.from(atob(base64), (one) => one.charCodeAt(0));
}

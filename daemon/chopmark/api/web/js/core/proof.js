// The `.tlog-proof` file that travels with a document (C2SP tlog-proof); docs/formats/proof.md.

import { concat, encodeBase64, equal, parseBase64, parseDecimal, parseHash, parseUtf8, utf8 } from "./bytes.js";
import { decodeCbor } from "./cbor.js";
import { openCheckpoint, parseCheckpoint } from "./checkpoint.js";
import { isUint } from "./entry.js";
import { MalformedError, RefusedError } from "./errors.js";
import { identify } from "./keys.js";
import { climb, leafHash } from "./merkle.js";
import { parseNote } from "./note.js";

/** What the name of a proof file ends with, after the whole name of its document. */
export const SUFFIX = ".tlog-proof";
/** Bytes of the largest proof. */
export const MAX_PROOF = 128 * 1024;
const MAX_PATH = 63;
const HEADER = "c2sp.org/tlog-proof@v1";
const LINE_FEED = 0x0a;

/**
 * Read a proof file; nothing is verified yet.
 * @param {Uint8Array} data
 * @returns {{index: bigint, hashes: Uint8Array[], note: Uint8Array, extra: Uint8Array | null,
 *   checkpoint: ReturnType<typeof parseCheckpoint>}}
 * @throws {MalformedError} `malformed-proof` and the codes of its parts
 */
export function parseProof(data) {
  if (data.length > MAX_PROOF) throw malformed(`a proof of ${data.length} bytes is too large`);
  const blank = data.findIndex((byte, at) => byte === LINE_FEED && data[at + 1] === LINE_FEED);
  const lines = parseUtf8(blank === -1 ? data : data.subarray(0, blank), "a proof").split("\n");
  if (lines[0] !== HEADER || blank === -1) {
    throw malformed(`not a proof: the first line is not ${HEADER}`);
  }
  const note = data.slice(blank + 2);
  const [word] = (lines[1] ?? "").split(" ", 1);
  const extra = word === "extra" ? parseBase64(lines[1].slice(6), "extra") : null;
  const rest = lines.slice(extra === null ? 1 : 2);
  if (!rest[0]?.startsWith("index ")) throw malformed("a proof has no index line");
  if (rest.length > MAX_PATH + 1) throw malformed("an inclusion proof is too long");
  const index = parseDecimal(rest[0].slice(6), "the index of a proof");
  const hashes = rest.slice(1).map((line) => parseHash(line, "a line of an inclusion proof"));
  const proof = { index, hashes, note, extra, checkpoint: parseCheckpoint(parseNote(note).text) };
  if (!equal(encodeProof(proof), data)) throw malformed("a proof is not in its canonical form");
  return proof;
}

/** The proof file's bytes. @returns {Uint8Array} */
export function encodeProof({ index, hashes, note, extra }) {
  const lines = [HEADER];
  if (extra?.length) lines.push(`extra ${encodeBase64(extra)}`);
  lines.push(`index ${index}`, ...hashes.map(encodeBase64), "", "");
  return concat(utf8(lines.join("\n")), note);
}

/**
 * Read what our proofs carry in `extra`.
 * @param {Uint8Array | null} data
 * @returns {{entry: Uint8Array, salt: Uint8Array | null, length: bigint | null,
 *   bodies: Uint8Array | null}}
 * @throws {MalformedError} `malformed-proof`, `malformed-cbor`
 */
export function parseExtra(data) {
  const value = data === null ? null : decodeCbor(data);
  if (!(value instanceof Map) || !(value.get(0) instanceof Uint8Array)) {
    throw malformed("the proof does not carry its entry in `extra`");
  }
  const known = [...value].every(([key, item]) => [0, 1, 2, 3].includes(key) && item !== null);
  if (!known) throw malformed("`extra` holds more than is known");
  const [entry, salt = null, length = null, bodies = null] = [0, 1, 2, 3].map((key) => value.get(key));
  const good =
    (salt === null || (salt instanceof Uint8Array && salt.length === 32)) &&
    (length === null || isUint(length)) &&
    (bodies === null || bodies instanceof Uint8Array);
  if (!good) throw malformed("the proof carries a salt or length that is wrong");
  return { entry, salt, length: length === null ? null : BigInt(length), bodies };
}

/**
 * Check a proof: inclusion, log signature, cosignatures. A quorum that is not reached is no error.
 * @param {ReturnType<typeof parseProof>} proof
 * @param {import("./policy.js").Policy} policy
 * @returns `extra`, `head`, the `path` from the leaf's hash to the root (see `climb`), `quorum`,
 *   and `existedBy`: seconds by which the quorum had cosigned, or null
 * @throws {RefusedError} `unknown-log`, `bad-signature`, `no-known-signature`, `bad-inclusion`
 * @throws {MalformedError} what `parseExtra` raises
 */
export function verifyProof(proof, policy) {
  const extra = parseExtra(proof.extra);
  const opened = openHead(proof, policy);
  const head = { ...opened, verified: policy.counting(opened.verified) };
  const leaf = leafHash(extra.entry);
  const path = climb(leaf, proof.index, head.checkpoint.size, proof.hashes);
  if (!equal(path.at(-1)?.hash ?? leaf, head.checkpoint.root)) {
    const message = "the entry does not lie under the proof's checkpoint";
    throw new RefusedError("bad-inclusion", message);
  }
  const quorum = policy.isSatisfied(head.verified.map(({ key }) => key));
  return { index: proof.index, extra, head, leaf, path, quorum, existedBy: policy.existedBy(head.verified) };
}

function openHead(proof, policy) {
  const { origin } = proof.checkpoint;
  const keys = policy.logs.filter((key) => key.name === origin);
  if (keys.length === 0) {
    const message = `the proof is from ${origin}, which the policy does not name`;
    throw new RefusedError("unknown-log", message);
  }
  // A log that changed its key may be named with both: one must have signed, and where both have,
  // both signatures must be good.
  const lines = parseNote(proof.note).signatures;
  const signers = new Set(lines.map(({ name, id }) => identify(name, id)));
  const signing = keys.find((key) => signers.has(key.identity)) ?? keys[0];
  return openCheckpoint(proof.note, signing, [...keys, ...policy.witnesses.values()]);
}

const malformed = (message) => new MalformedError("malformed-proof", message);

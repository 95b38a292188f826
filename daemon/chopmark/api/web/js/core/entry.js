// Ledger entries: what one leaf of a log says; docs/formats/entry.md.

import { MAX_INT, utf8 } from "./bytes.js";
import { decodeCbor } from "./cbor.js";
import { MalformedError } from "./errors.js";

/** COSE algorithm id of SHA-256 (RFC 9054). */
export const SHA256 = -16;
/** COSE private use id that stands for SM3 here. */
export const SM3 = -65793;
/** What a kind of document looks like. */
export const KIND = /^[a-z0-9.-]{1,32}$/;

const MAX_ENTRY = 240;
/** Per type the keys that must and that may be there. */
const KEYS = new Map([
  [1, { must: [0, 1, 2, 3, 4], may: [5, 6, 7, 8] }],
  [2, { must: [0, 1, 2, 3, 4], may: [] }],
  [3, { must: [0, 1, 2, 3], may: [] }],
  [4, { must: [0, 1, 2, 3], may: [] }],
  [5, { must: [0, 1, 2, 3], may: [] }],
  [6, { must: [0, 1, 2, 3, 4], may: [] }],
]);

/**
 * Read an entry.
 *
 * The answer's `type` is `attestation` (madeAt, sha256, kind, sm3, validUntil, blinded, supersedes,
 * canonical: pairs of name and digest), `revocation` (madeAt, target, reason), `commitment` (madeAt,
 * of, value), `adoption` (madeAt, version, digest) or `unknown-format`. Times (ms), indices and
 * numbers are bigints; what is not there is null.
 * @param {Uint8Array} data
 * @throws {MalformedError} `malformed-entry` or `malformed-cbor`: the leaf means nothing
 */
export function parseEntry(data) {
  if (data.length > MAX_ENTRY) throw malformed(`an entry of ${data.length} bytes is too large`);
  const value = decodeCbor(data);
  if (!(value instanceof Map) || !isUint(value.get(0))) throw malformed("an entry has no version");
  if (value.get(0) !== 1) return { type: "unknown-format" };
  if (!isUint(value.get(1))) throw malformed("an entry has no type");
  const keys = KEYS.get(value.get(1));
  const known = (key) => key < 0 || keys.must.includes(key) || keys.may.includes(key);
  const numbers = [...value.keys()].every((key) => typeof key !== "string");
  if (keys === undefined || !numbers || ![...value.keys()].every(known)) {
    return { type: "unknown-format" };
  }
  const missing = keys.must.find((key) => !value.has(key));
  if (missing !== undefined) throw malformed(`an entry lacks key ${missing}`);
  return readEntry(value);
}

function readEntry(value) {
  const madeAt = uint(value.get(2), "made at");
  switch (value.get(1)) {
    case 1:
      return readAttestation(madeAt, value);
    case 2: {
      const target = uint(value.get(3), "target");
      return { type: "revocation", madeAt, target, reason: uint(value.get(4), "reason") };
    }
    case 6: {
      const version = uint(value.get(3), "version");
      return { type: "adoption", madeAt, version, digest: hash(value.get(4), "text digest") };
    }
    default:
      return { type: "commitment", madeAt, of: value.get(1), value: hash(value.get(3), "commitment") };
  }
}

function readAttestation(madeAt, value) {
  const digests = value.get(3);
  const kind = value.get(4);
  if (!(digests instanceof Map) || !digests.has(SHA256)) {
    throw malformed("an attestation names no SHA-256 digest");
  }
  if ([...digests.keys()].some((key) => key !== SHA256 && key !== SM3)) {
    return { type: "unknown-format" };
  }
  if (typeof kind !== "string" || !KIND.test(kind)) throw malformed("not a kind of document");
  if (value.has(6) && value.get(6) !== true) {
    throw malformed("key 6 of an attestation is true or absent");
  }
  return {
    type: "attestation",
    madeAt,
    sha256: hash(digests.get(SHA256), "SHA-256 digest"),
    kind,
    sm3: digests.has(SM3) ? hash(digests.get(SM3), "SM3 digest") : null,
    validUntil: value.has(5) ? uint(value.get(5), "valid until") : null,
    blinded: value.has(6),
    supersedes: value.has(7) ? uint(value.get(7), "superseded index") : null,
    canonical: value.has(8) ? readCanonical(value.get(8)) : [],
  };
}

function readCanonical(value) {
  if (!(value instanceof Map) || value.size === 0) {
    throw malformed("canonical digests are an empty or no map");
  }
  return Array.from(value, ([name, digest]) => {
    const bytes = typeof name === "string" ? utf8(name).length : 0;
    if (bytes < 1 || bytes > 16) throw malformed("a canonical digest has no name of 1 to 16 bytes");
    return [name, hash(digest, "canonical digest")];
  });
}

/** Whether a decoded value is a natural number that every format takes. */
export const isUint = (value) =>
  (typeof value === "bigint" || Number.isSafeInteger(value)) && value >= 0 && value <= MAX_INT;

function uint(value, what) {
  if (!isUint(value)) throw malformed(`${what} of an entry is not a natural number`);
  return BigInt(value);
}

function hash(value, what) {
  if (!(value instanceof Uint8Array) || value.length !== 32) {
    throw malformed(`${what} of an entry does not have 32 bytes`);
  }
  return value;
}

const malformed = (message) => new MalformedError("malformed-entry", message);

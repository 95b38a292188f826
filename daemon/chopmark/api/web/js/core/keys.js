// Verifier keys of signed notes (C2SP signed-note, tlog-cosignature): vkeys, key ids, checks.
// docs/formats/note.md has the types.

import { ed25519, p256, sha256 } from "../../vendor/noble.js";
import {
  MAX_INT,
  concat,
  encodeBase64,
  equal,
  fromHex,
  isPrintable,
  parseBase64,
  quote,
  readUint,
  toHex,
  utf8,
} from "./bytes.js";
import { MalformedError } from "./errors.js";

export const ED25519 = 0x01;
export const ECDSA_P256 = 0x02;
export const COSIGNATURE = 0x04;
/** A type that C2SP has not assigned: an identifier follows it. */
export const OTHER = 0xff;

const IDENTIFIER = utf8("chopmark/cosignature-p256/v1\n");
const MAX_NAME = 128;
/** No Unicode space as Python has them, no plus, no control character, no half of a surrogate. */
const KEY_NAME =
  /^[^\s\u0085\p{Cs}+\x00-\x1f]+$/u;
/** What stands before the point in a SubjectPublicKeyInfo of P-256 (RFC 5480). */
const SPKI = fromHex("3059301306072a8648ce3d020106082a8648ce3d030107034200");
/** The prime of Ed25519's field, and the y of its points of small order: anyone can sign by those. */
const FIELD = 2n ** 255n - 19n;
const ORDER_8 = 0x5fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n;
const SMALL_ORDER = [0n, 1n, FIELD - 1n, ORDER_8, FIELD - ORDER_8];

/** A named public key. */
export class VerifierKey {
  /**
   * @param {string} name key name; for a log it is the log's origin
   * @param {number} type signature type byte; 0xff stands for our P-256 cosignature
   * @param {Uint8Array} raw 32 bytes for Ed25519 types, DER SubjectPublicKeyInfo for ECDSA
   */
  constructor(name, type, raw) {
    this.name = name;
    this.type = type;
    this.raw = raw;
    const head = type === OTHER ? concat(Uint8Array.of(type), IDENTIFIER) : Uint8Array.of(type);
    const named = concat(utf8(`${name}\n`), head, raw);
    this.id = sha256(type === ECDSA_P256 ? raw : named).slice(0, 4);
    this.body = concat(head, raw);
  }

  /** Whether its signatures are cosignatures, which bear a time. */
  get isCosigner() {
    return this.type === COSIGNATURE || this.type === OTHER;
  }

  /** What tells it from other keys in a note: name and key id. */
  get identity() {
    return identify(this.name, this.id);
  }

  /** The vkey text. */
  encode() {
    return `${this.name}+${toHex(this.id)}+${encodeBase64(this.body)}`;
  }

  /**
   * Check one signature payload over a note's text.
   * @param {Uint8Array} text
   * @param {Uint8Array} payload
   * @returns {bigint | null} the signed time in seconds for a cosignature, otherwise 0; null if
   *   the signature is not good
   */
  verify(text, payload) {
    if (!this.isCosigner) return this.#check(text, payload) ? 0n : null;
    const time = readUint(payload.subarray(0, 8));
    if (payload.length <= 8 || time === 0n || time > MAX_INT) return null;
    const message = concat(utf8(`cosignature/v1\ntime ${time}\n`), text);
    return this.#check(message, payload.subarray(8)) ? time : null;
  }

  #check(message, signature) {
    const isP256 = this.type === ECDSA_P256 || this.type === OTHER;
    return isP256
      ? checkP256(signature, message, this.raw.subarray(SPKI.length))
      : checkEd25519(signature, message, this.raw);
  }
}

/** One string for a name and a key id. */
export const identify = (name, id) => `${name}+${toHex(id)}`;

/**
 * Read a vkey.
 * @throws {MalformedError} `malformed-vkey`, `malformed-key-name`, `malformed-base64`, and
 *   `unknown-key-type` for types that we do not read
 */
export function parseVkey(text) {
  const [name, hash, ...rest] = text.split("+");
  if (rest.length === 0) {
    throw new MalformedError("malformed-vkey", `not a vkey name+hash+key: ${quote(text)}`);
  }
  checkKeyName(name);
  if ([...name].length > MAX_NAME || !isPrintable(name)) {
    throw new MalformedError("malformed-key-name", "not a name that we can show");
  }
  const key = readKey(name, parseBase64(rest.join("+"), "the key of a vkey"));
  if (toHex(key.id) !== hash) {
    throw new MalformedError("malformed-vkey", `the key hash of vkey ${name} does not match`);
  }
  return key;
}

/**
 * Refuse key names that the note format does not allow.
 * @throws {MalformedError} `malformed-key-name`
 */
export function checkKeyName(name) {
  // A byte order mark is a space to JavaScript alone.
  if (!KEY_NAME.test(name.replaceAll("\ufeff", "x"))) {
    throw new MalformedError("malformed-key-name", `not a key name: ${quote(name)}`);
  }
}

function readKey(name, blob) {
  const ours = concat(Uint8Array.of(OTHER), IDENTIFIER);
  if (equal(blob.subarray(0, ours.length), ours)) {
    return checkedKey(name, OTHER, blob.subarray(ours.length));
  }
  return checkedKey(name, blob[0] === OTHER ? -1 : blob[0], blob.subarray(1));
}

function checkedKey(name, type, raw) {
  if (type === ED25519 || type === COSIGNATURE) {
    if (!isEd25519Key(raw)) throw new MalformedError("malformed-vkey", `key ${name} is no Ed25519 key`);
  } else if (type === ECDSA_P256 || type === OTHER) {
    if (!isP256Key(raw)) throw new MalformedError("malformed-vkey", `key ${name} is no P-256 key`);
  } else {
    const message = `key ${name} has a type that this version does not read`;
    throw new MalformedError("unknown-key-type", message, "update the software");
  }
  return new VerifierKey(name, type, raw);
}

/** As in Python, that it lies on the curve is left to the check of a signature. */
function isEd25519Key(raw) {
  const y = readUint(raw.toReversed()) & (2n ** 255n - 1n);
  return raw.length === 32 && y < FIELD && !SMALL_ORDER.includes(y);
}

function isP256Key(spki) {
  const point = spki.subarray(SPKI.length);
  if (!equal(spki.subarray(0, SPKI.length), SPKI) || point.length !== 65) return false;
  try {
    p256.Point.fromBytes(point).assertValidity();
  } catch {
    return false;
  }
  return true;
}

function checkP256(signature, message, point) {
  try {
    return p256.verify(signature, message, point, { format: "der", lowS: false, prehash: true });
  } catch {
    return false;
  }
}

function checkEd25519(signature, message, key) {
  try {
    // noble multiplies by the cofactor and OpenSSL does not: they agree on points without torsion,
    // and no honest signature has other ones.
    return (
      ed25519.verify(signature, message, key, { zip215: false }) &&
      [key, signature.subarray(0, 32)].every((one) => ed25519.Point.fromBytes(one).isTorsionFree())
    );
  } catch {
    return false;
  }
}

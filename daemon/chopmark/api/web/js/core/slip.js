// Slips: the proof in a QR code (docs/formats/slip.md). What they say is the proof's; reading one
// checks no signature, and a slip without its document is never `valid`.

import { parseBase45 } from "./base45.js";
import { equal, toLatin1 } from "./bytes.js";
import { decodeCbor, encodeCbor } from "./cbor.js";
import { encodeCheckpoint, parseCheckpoint } from "./checkpoint.js";
import { isUint } from "./entry.js";
import { MalformedError } from "./errors.js";
import { checkKeyName } from "./keys.js";
import { leafHash, rootFromInclusion } from "./merkle.js";
import { encodeNote } from "./note.js";
import { encodeProof } from "./proof.js";
import { sha256 } from "../../vendor/noble.js";

/** What the text of every slip begins with. */
export const PREFIX = "CHOPMARK1:";
/** Characters of the largest QR code. */
export const MAX_TEXT = 4296;
const MAX_FILE = 4 << 20;
const MAX_ENTRY = 240;
const MAX_PATH = 63;
const MAX_SIGNATURES = 15;
const SUFFIX = "cosigner";
const [CHECK, SALT] = [6, 7];

/** Whether a text means to be a slip, of whatever version. @param {string} text */
export const isSlip = (text) => /^CHOPMARK[0-9]+:/.test(text);

/**
 * The slip in a file: a text as a scanner types it, or the PDF that `chopmark slip` has made, which
 * carries its text as it is.
 * @param {Uint8Array} data
 * @returns {string | null} null if there is none, or more than one
 */
export function findSlip(data) {
  const text = toLatin1(data.length > MAX_FILE ? data.subarray(0, 9) : data);
  if (isSlip(text)) return text.replace(/\r?\n$/, "");
  const found = text.startsWith("%PDF-") ? text.match(/CHOPMARK[0-9]:[0-9A-Z $%*+./:-]+/g) : null;
  return found !== null && new Set(found).size === 1 ? found[0] : null;
}

/**
 * The proof that a slip stands for.
 * @param {string} text what the QR code says, without a line end
 * @returns {Uint8Array} the bytes of a proof file
 * @throws {MalformedError} `malformed-slip`, `malformed-base45`, the codes of the parts of proofs
 */
export function slipToProof(text) {
  if (text.length > MAX_TEXT || !text.startsWith(PREFIX)) throw explainStart(text);
  const value = decodeCbor(parseBase45(text.slice(PREFIX.length)));
  if (!(value instanceof Map) || !hasKeys(value)) {
    throw malformed("a slip does not hold what a slip holds");
  }
  const data = encodeProof(readProof(value));
  if (!isBytes(value.get(CHECK), 4) || !equal(sha256(data).slice(0, 4), value.get(CHECK))) {
    const hint = "scan the code again, in good light and from straight above";
    throw malformed("the code was not read as printed", hint);
  }
  return data;
}

function hasKeys(value) {
  const must = [0, 1, 2, 3, 4, 5, CHECK];
  const keys = [...value.keys()];
  const isKnown = (key) => key === SALT || must.includes(key);
  return must.every((key) => value.has(key)) && keys.every(isKnown);
}

function readProof(value) {
  const fields = [0, 1, 2, 3, 4, 5].map((key) => value.get(key));
  const [index, size, path, origin, entry, signatures] = fields;
  const salt = value.get(SALT);
  const good =
    isUint(index) &&
    isUint(size) &&
    isBytes(path, 32 * MAX_PATH) &&
    path.length % 32 === 0 &&
    typeof origin === "string" &&
    isBytes(entry, MAX_ENTRY) &&
    (!value.has(SALT) || (isBytes(salt, 32) && salt.length === 32));
  if (!good) throw malformed("a slip has something else where a number, bytes or text are due");
  const hashes = Array.from({ length: path.length / 32 }, (_, at) =>
    path.slice(32 * at, 32 * at + 32),
  );
  const root = findRoot(entry, BigInt(index), BigInt(size), hashes);
  const text = encodeCheckpoint({ origin, size: BigInt(size), root });
  parseCheckpoint(text);
  const note = encodeNote({ text, signatures: readSignatures(origin, signatures) });
  const extra = encodeCbor(new Map(salt === undefined ? [[0, entry]] : [[0, entry], [1, salt]]));
  return { index: BigInt(index), hashes, note, extra };
}

function findRoot(entry, index, size, hashes) {
  try {
    return rootFromInclusion(leafHash(entry), index, size, hashes);
  } catch (error) {
    throw malformed(`a slip does not fit: ${error.message}`);
  }
}

function readSignatures(origin, items) {
  if (!Array.isArray(items) || items.length % 2 === 0 || items.length > 2 * MAX_SIGNATURES) {
    throw malformed("a slip has no signature, one without a name, or too many");
  }
  const named = items.map((item, at) => (at % 2 === 0 ? item : expand(item)));
  named.unshift(origin);
  return Array.from({ length: named.length / 2 }, (_, at) =>
    readSignature(named[2 * at], named[2 * at + 1]),
  );
}

/** The whole name of a key that is not the log's. */
function expand(name) {
  if (typeof name !== "string" || name.endsWith(`/${SUFFIX}`)) {
    throw malformed("the name of a key on a slip is not as it should be");
  }
  return name.endsWith("/") ? name + SUFFIX : name;
}

function readSignature(name, blob) {
  if (!isBytes(blob, MAX_TEXT) || blob.length < 5) {
    throw malformed("a signature on a slip is too short, or none");
  }
  checkKeyName(name);
  return { name, id: blob.slice(0, 4), payload: blob.slice(4) };
}

function explainStart(text) {
  if (isSlip(text) && !text.startsWith(PREFIX)) {
    return malformed("a slip of a version that is not known here", "update the software");
  }
  return malformed("not the code of a slip", `its text begins with ${PREFIX}`);
}

const isBytes = (value, most) => value instanceof Uint8Array && value.length <= most;

const malformed = (message, hint) => new MalformedError("malformed-slip", message, hint);

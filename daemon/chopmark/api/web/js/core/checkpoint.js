// Checkpoints (C2SP tlog-checkpoint): a log's origin, size and root; docs/formats/checkpoint.md.

import { encodeBase64, equal, isPrintable, parseDecimal, parseHash, quote } from "./bytes.js";
import { MalformedError, RefusedError } from "./errors.js";
import { EMPTY_ROOT } from "./merkle.js";
import { parseNote, verifyNote } from "./note.js";

const ORIGIN = /^[a-z0-9.-]+(\/[a-z0-9.-]+)*$/;
const MAX_ORIGIN = 64;
const MAX_FOREIGN_ORIGIN = 128;
const RESERVED = ["chopmark/", "cosignature/"];

/**
 * Read a checkpoint's note text.
 * @param {string} text
 * @returns {{origin: string, size: bigint, root: Uint8Array}}
 * @throws {MalformedError} `malformed-checkpoint`, `malformed-origin` and the codes of its parts
 */
export function parseCheckpoint(text) {
  const lines = text.split("\n");
  if (lines.length !== 4 || lines[3] !== "") {
    throw new MalformedError("malformed-checkpoint", "a checkpoint has three lines");
  }
  const [origin] = lines;
  if (origin === "" || [...origin].length > MAX_FOREIGN_ORIGIN || !isPrintable(origin)) {
    throw new MalformedError("malformed-origin", `not an origin: ${quote(origin)}`);
  }
  const size = parseDecimal(lines[1], "the size of a checkpoint");
  const root = parseHash(lines[2], "the root of a checkpoint");
  checkOrigin(origin);
  if (size === 0n && !equal(root, EMPTY_ROOT)) {
    throw new MalformedError("malformed-checkpoint", "an empty log has another root than given");
  }
  return { origin, size, root };
}

/** The note text of a checkpoint. */
export const encodeCheckpoint = ({ origin, size, root }) =>
  `${origin}\n${size}\n${encodeBase64(root)}\n`;

/**
 * Refuse what is not an origin of ours.
 * @throws {MalformedError} `malformed-origin`
 */
export function checkOrigin(origin) {
  if (origin.length > MAX_ORIGIN || !ORIGIN.test(origin)) {
    throw new MalformedError("malformed-origin", `not an origin: ${quote(origin)}`);
  }
  if (RESERVED.some((word) => origin.startsWith(word))) {
    throw new MalformedError("malformed-origin", `origin ${origin} begins with a reserved word`);
  }
}

/**
 * Read a checkpoint note and check it: the log must have signed, and its name must fit.
 * @param {Uint8Array} data the note
 * @param {import("./keys.js").VerifierKey} logKey its name is the origin that is due
 * @param {import("./keys.js").VerifierKey[]} others further keys whose signatures are checked
 * @throws {MalformedError} what `parseNote` and `parseCheckpoint` raise
 * @throws {RefusedError} `bad-signature` or `no-known-signature`
 */
export function openCheckpoint(data, logKey, others = []) {
  const note = parseNote(data);
  const checkpoint = parseCheckpoint(note.text);
  if (checkpoint.origin !== logKey.name) {
    const message = `a checkpoint of ${checkpoint.origin} where one of ${logKey.name} is due`;
    throw new MalformedError("malformed-checkpoint", message);
  }
  const verified = verifyNote(note, [logKey, ...others]);
  if (!verified.some(({ key }) => key.identity === logKey.identity)) {
    const message = `${logKey.name} has not signed its checkpoint`;
    throw new RefusedError("no-known-signature", message);
  }
  return { checkpoint, note, verified };
}

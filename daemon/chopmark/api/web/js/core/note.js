// Signed notes (C2SP signed-note): a text with signature lines under it; docs/formats/note.md.

import { concat, encodeBase64, parseBase64, parseUtf8, quote, utf8 } from "./bytes.js";
import { MalformedError, RefusedError } from "./errors.js";
import { checkKeyName, identify } from "./keys.js";

/** Bytes of the largest note. */
export const MAX_NOTE = 60 * 1024;
const MAX_SIGNATURES = 64;
const CONTROL = /[\x00-\x09\x0b-\x1f]/;
const DASH = "\u2014 ";

/**
 * Read a signed note; no signature is checked yet.
 * @param {Uint8Array} data
 * @returns {{text: string, signatures: {name: string, id: Uint8Array, payload: Uint8Array}[]}}
 * @throws {MalformedError} `malformed-note` and the codes of its parts
 */
export function parseNote(data) {
  if (data.length > MAX_NOTE) {
    throw new MalformedError("malformed-note", `a note of ${data.length} bytes is too large`);
  }
  const text = parseUtf8(data, "a note");
  if (CONTROL.test(text)) {
    throw new MalformedError("malformed-note", "a note contains a control character");
  }
  const blank = text.lastIndexOf("\n\n");
  if (blank === -1 || !text.endsWith("\n") || blank + 2 === text.length) {
    throw new MalformedError("malformed-note", "a note has no signature block that ends a line");
  }
  const signatures = text.slice(blank + 2, -1).split("\n").map(parseLine);
  if (signatures.length > MAX_SIGNATURES) {
    throw new MalformedError("malformed-note", `a note has ${signatures.length} signature lines`);
  }
  return { text: text.slice(0, blank + 1), signatures };
}

/** The bytes of a note. @returns {Uint8Array} */
export function encodeNote({ text, signatures }) {
  const lines = signatures.map(
    ({ name, id, payload }) => `${DASH}${name} ${encodeBase64(concat(id, payload))}\n`,
  );
  return utf8(`${text}\n${lines.join("")}`);
}

/**
 * Check every signature whose key is known.
 * @param {ReturnType<typeof parseNote>} note
 * @param {Iterable<import("./keys.js").VerifierKey>} keys
 * @returns {{key: import("./keys.js").VerifierKey, time: bigint}[]} one for each key that has
 *   signed, in the order of their lines; of several cosignatures by one key the earliest
 * @throws {RefusedError} `bad-signature` if a known key's signature fails, `no-known-signature`
 */
export function verifyNote(note, keys) {
  const known = new Map(Array.from(keys, (key) => [key.identity, key]));
  const text = utf8(note.text);
  const good = new Map();
  for (const { name, id, payload } of note.signatures) {
    const identity = identify(name, id);
    const key = known.get(identity);
    if (key === undefined) continue;
    const time = key.verify(text, payload);
    if (time === null) {
      throw new RefusedError("bad-signature", `the signature by ${key.name} is not good`);
    }
    if (!good.has(identity)) good.set(identity, { key, time });
    else if (time < good.get(identity).time) good.get(identity).time = time;
  }
  if (good.size === 0) {
    throw new RefusedError("no-known-signature", "no key that we know has signed this note");
  }
  return [...good.values()];
}

function parseLine(line) {
  const space = line.indexOf(" ", DASH.length);
  if (!line.startsWith(DASH) || space === -1) {
    throw new MalformedError("malformed-note", `not a signature line: ${quote(line)}`);
  }
  const name = line.slice(DASH.length, space);
  checkKeyName(name);
  const blob = parseBase64(line.slice(space + 1), `the signature by ${quote(name)}`);
  if (blob.length < 5) {
    throw new MalformedError("malformed-note", `the signature by ${quote(name)} is too short`);
  }
  return { name, id: blob.slice(0, 4), payload: blob.slice(4) };
}

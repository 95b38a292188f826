// Bytes: joined, compared, and in the spellings that our formats use. Reading demands the one
// canonical spelling, as core/text.py does.

import { MalformedError } from "./errors.js";

/** Largest size, index or time on any wire: 2^63 − 1. */
export const MAX_INT = 2n ** 63n - 1n;

const ENCODER = new TextEncoder();
const DECODER = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** @param {string} text @returns {Uint8Array} its UTF-8 */
export const utf8 = (text) => ENCODER.encode(text);

/** @param {...Uint8Array} parts @returns {Uint8Array} */
export function concat(...parts) {
  const joined = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

/** @param {Uint8Array} a @param {Uint8Array} b */
export const equal = (a, b) => a.length === b.length && a.every((byte, at) => byte === b[at]);

/** Negative, 0 or positive, as bytes are sorted. */
export function compareBytes(a, b) {
  const at = a.findIndex((byte, place) => byte !== b[place]);
  return at === -1 || at >= b.length ? a.length - b.length : a[at] - b[at];
}

/** @param {Uint8Array} data @returns {string} lower-case hexadecimal digits */
export const toHex = (data) => Array.from(data, (byte) => byte.toString(16).padStart(2, "0")).join("");

/** @param {string} text an even number of hexadecimal digits @returns {Uint8Array} */
export const fromHex = (text) =>
  Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));

/** @param {Uint8Array} data @returns {string} one character for each byte */
export function toLatin1(data) {
  let text = "";
  for (let at = 0; at < data.length; at += 8192) {
    text += String.fromCharCode(...data.subarray(at, at + 8192));
  }
  return text;
}

/** @param {string} text of characters below U+0100 @returns {Uint8Array} */
export const fromLatin1 = (text) => Uint8Array.from(text, (character) => character.charCodeAt(0));

/** Standard base64 with padding (RFC 4648 §4). */
export const encodeBase64 = (data) => btoa(toLatin1(data));

/**
 * Read canonical standard base64: padded, unused bits zero.
 * @throws {MalformedError} `malformed-base64`
 */
export function parseBase64(text, what) {
  let raw;
  try {
    raw = atob(text);
  } catch {
    throw new MalformedError("malformed-base64", `${what} is not base64`);
  }
  if (btoa(raw) !== text) {
    throw new MalformedError("malformed-base64", `${what} is not canonical base64`);
  }
  return fromLatin1(raw);
}

/**
 * Read one 32-byte hash in base64.
 * @throws {MalformedError} `malformed-base64` or `malformed-hash`
 */
export function parseHash(text, what) {
  const data = parseBase64(text, what);
  if (data.length !== 32) {
    throw new MalformedError("malformed-hash", `${what} has ${data.length} bytes instead of 32`);
  }
  return data;
}

/**
 * Read a decimal number without sign, leading zeros or other digits than 0-9.
 * @returns {bigint}
 * @throws {MalformedError} `malformed-number`
 */
export function parseDecimal(text, what) {
  if (!/^(0|[1-9][0-9]{0,18})$/.test(text) || BigInt(text) > MAX_INT) {
    throw new MalformedError("malformed-number", `${what} is not a decimal number`);
  }
  return BigInt(text);
}

/**
 * Decode UTF-8.
 * @throws {MalformedError} `malformed-utf8`
 */
export function parseUtf8(data, what) {
  try {
    return DECODER.decode(data);
  } catch {
    throw new MalformedError("malformed-utf8", `${what} is not UTF-8`);
  }
}

/** The number in big-endian bytes. @returns {bigint} */
export const readUint = (data) => data.reduce((number, byte) => (number << 8n) | BigInt(byte), 0n);

/** Whether Python would call it printable: on one line, and nothing in it is invisible. */
export const isPrintable = (text) => /^(?:[^\p{C}\p{Z}]| )*$/u.test(text);

/** The beginning of a text from outside, for people: what cannot be seen stands as its number. */
export const quote = (text) =>
  `"${Array.from([...text.slice(0, 80)], (one) => (isPrintable(one) ? one : numbered(one))).join("")}"`;

const numbered = (character) => `\\u{${character.codePointAt(0).toString(16)}}`;

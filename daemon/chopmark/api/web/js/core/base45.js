// base45 (RFC 9285), read as strictly as core/base45.py does.

import { MalformedError } from "./errors.js";

/** The characters, by their value. */
export const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";

/**
 * Read base45: three characters are two bytes, the least significant first; two are one.
 * @param {string} text
 * @returns {Uint8Array}
 * @throws {MalformedError} `malformed-base45`
 */
export function parseBase45(text) {
  const data = [];
  for (let at = 0; at < text.length; at += 3) {
    const digits = Array.from(text.slice(at, at + 3), (character) => ALPHABET.indexOf(character));
    const size = digits.length - 1;
    const value = digits.reduceRight((number, digit) => number * 45 + digit, 0);
    if (digits.includes(-1) || size === 0 || value >= 256 ** size) {
      throw new MalformedError("malformed-base45", "a text that is not base45");
    }
    data.push(...(size === 2 ? [value >> 8, value & 0xff] : [value]));
  }
  return Uint8Array.from(data);
}

// Fingerprints: what people compare, by eye or over a telephone, in place of the thing itself.

import { sha256 } from "../../vendor/noble.js";
import { toHex } from "./bytes.js";

const CONSONANTS = "bdfghjklmnprstvz";
const VOWELS = "aiou";

/** SHA-256 of some bytes in hexadecimal, and its first 16 bytes as eight proquints. */
export function fingerprint(data) {
  const digest = sha256(data);
  return { hex: toHex(digest), words: spell(digest.subarray(0, 16)) };
}

/** The proquints (arXiv:0901.4016) of an even number of bytes, joined by hyphens. */
export function spell(data) {
  const words = [];
  for (let at = 0; at < data.length; at += 2) words.push(spellWord((data[at] << 8) | data[at + 1]));
  return words.join("-");
}

const spellWord = (number) =>
  CONSONANTS[number >> 12] +
  VOWELS[(number >> 10) & 3] +
  CONSONANTS[(number >> 6) & 15] +
  VOWELS[(number >> 4) & 3] +
  CONSONANTS[number & 15];

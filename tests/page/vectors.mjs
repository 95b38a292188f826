// The vectors of docs/formats, and small helpers for tests of the page's core.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

import { toHex, utf8 } from "../../daemon/chopmark/api/web/js/core/bytes.js";

export function readVectors(name) {
  const place = new URL(`../../docs/formats/vectors/${name}.json`, import.meta.url);
  return JSON.parse(readFileSync(place, "utf8"), (_, value, { source }) =>
    typeof value === "number" && !Number.isSafeInteger(value) ? BigInt(source) : value,
  );
}

export const bytes = utf8;

/** Fails unless a call raises an error of ours with this code. */
export function assertRefused(call, code) {
  let error = null;
  try {
    call();
  } catch (raised) {
    error = raised;
  }
  assert.notEqual(error, null, `accepted, where ${code} is due`);
  assert.equal(error.code, code, error.stack);
}

/** A value as JSON has it: bytes in hexadecimal, bigints as numbers. */
export function plain(value) {
  if (value instanceof Uint8Array) return toHex(value);
  if (typeof value === "bigint") return Number(value);
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]));
}

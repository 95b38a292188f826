// Deterministic CBOR (RFC 8949 §4.2.1), the part of it that our formats use: integers of 64 bits,
// byte and text strings, arrays, maps with integer or text keys, booleans and null.
//
// cborg reads; what it read is written again here, and must give the same bytes. That refuses all
// that cborg takes and we do not: floats, keys out of order, another spelling of a number.

import { Tokenizer, decode } from "../../vendor/cborg.js";
import { compareBytes, concat, equal, parseUtf8, utf8 } from "./bytes.js";
import { MalformedError } from "./errors.js";

const MAX_DEPTH = 16;
const MAX_UINT = 2n ** 64n - 1n;
const STRICT = {
  allowBigInt: true,
  allowIndefinite: false,
  allowInfinity: false,
  allowNaN: false,
  allowUndefined: false,
  rejectDuplicateMapKeys: true,
  retainStringBytes: true,
  strict: true,
  useMaps: true,
};

/** Texts as they are: cborg takes a byte order mark away, and replaces what is not UTF-8. */
class Reader extends Tokenizer {
  next() {
    const token = super.next();
    if (token.byteValue !== undefined) token.value = parseUtf8(token.byteValue, "a CBOR text");
    return token;
  }
}

/**
 * Decode bytes that are deterministic CBOR to the last byte.
 *
 * Integers are numbers where those are exact, otherwise bigints; maps are Maps.
 * @param {Uint8Array} data
 * @throws {MalformedError} `malformed-cbor`
 */
export function decodeCbor(data) {
  let value;
  let again;
  try {
    value = decode(data, { ...STRICT, tokenizer: new Reader(data, STRICT) });
    again = encodeCbor(value);
  } catch (error) {
    // Of ours, or of cborg, or a RangeError: what is too deep, or too much to join.
    throw new MalformedError("malformed-cbor", `CBOR that cannot be read: ${error.message}`);
  }
  if (!equal(again, data)) {
    throw new MalformedError("malformed-cbor", "CBOR is not in its deterministic form");
  }
  return value;
}

/**
 * Encode a value; integers may be numbers or bigints.
 * @returns {Uint8Array}
 * @throws {MalformedError} `malformed-cbor` for what is not part of our profile
 */
export function encodeCbor(value, depth = MAX_DEPTH) {
  if (value === null) return Uint8Array.of(0xf6);
  if (typeof value === "boolean") return Uint8Array.of(value ? 0xf5 : 0xf4);
  if (typeof value === "bigint" || Number.isSafeInteger(value)) return encodeInteger(BigInt(value));
  if (value instanceof Uint8Array) return concat(encodeHead(2, value.length), value);
  if (typeof value === "string") {
    const text = utf8(value);
    return concat(encodeHead(3, text.length), text);
  }
  if (depth > 0 && Array.isArray(value)) {
    const items = value.map((item) => encodeCbor(item, depth - 1));
    return concat(encodeHead(4, items.length), ...items);
  }
  if (depth > 0 && value instanceof Map) return encodeMap(value, depth - 1);
  throw new MalformedError("malformed-cbor", "CBOR of a kind or depth that is not used here");
}

function encodeMap(map, depth) {
  const pairs = Array.from(map, ([key, item]) => {
    if (!["bigint", "number", "string"].includes(typeof key)) {
      throw new MalformedError("malformed-cbor", "a CBOR map has keys that are no integers or texts");
    }
    return [encodeCbor(key), encodeCbor(item, depth)];
  });
  pairs.sort(([a], [b]) => compareBytes(a, b));
  return concat(encodeHead(5, pairs.length), ...pairs.flat());
}

function encodeInteger(value) {
  if (value > MAX_UINT || value < -1n - MAX_UINT) {
    throw new MalformedError("malformed-cbor", "a CBOR integer has more than 64 bits");
  }
  return value >= 0n ? encodeHead(0, value) : encodeHead(1, -1n - value);
}

function encodeHead(major, argument) {
  const number = BigInt(argument);
  if (number < 24n) return Uint8Array.of((major << 5) | Number(number));
  const power = [1, 2, 4, 8].findIndex((size) => number < 1n << BigInt(8 * size));
  const size = 1 << power;
  const head = new Uint8Array(1 + size);
  head[0] = (major << 5) | (24 + power);
  for (let at = 0; at < size; at++) {
    head[size - at] = Number((number >> BigInt(8 * at)) & 0xffn);
  }
  return head;
}

// Blinding: what stands in place of digests that could be found by trial; docs/formats/entry.md.

import { hmac, sha256 } from "../../vendor/noble.js";
import { concat, utf8 } from "./bytes.js";
import { encodeCbor } from "./cbor.js";
import { SHA256, SM3 } from "./entry.js";

/**
 * The 32-byte form of a digest in a blinded attestation.
 * @param {Uint8Array} salt 32 bytes that travel in the proof only
 * @param {string} origin of the issuer's log
 * @param {number | string} algorithm COSE algorithm id, or the name of a canonical digest
 * @param {Uint8Array} digest the digest that is hidden
 */
export function blind(salt, origin, algorithm, digest) {
  const label = concat(utf8(`chopmark/blind/v1\n${origin}\n`), encodeCbor(algorithm));
  return hmac(sha256, salt, concat(label, digest));
}

/** All digests of a document, blinded. @param {import("./check.js").Digests} digests */
export const blindAll = (digests, origin, salt) => ({
  sha256: blind(salt, origin, SHA256, digests.sha256),
  sm3: digests.sm3 ? blind(salt, origin, SM3, digests.sm3) : null,
  canonical: (digests.canonical ?? []).map(([name, one]) => [name, blind(salt, origin, name, one)]),
});

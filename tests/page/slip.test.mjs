// Slips read as Python's core reads them, and what is none is refused with the same code.

import assert from "node:assert/strict";
import { test } from "node:test";

import { encodeBase45, parseBase45 } from "../../daemon/chopmark/api/web/js/core/base45.js";
import { toLatin1 } from "../../daemon/chopmark/api/web/js/core/bytes.js";
import { parsePolicy } from "../../daemon/chopmark/api/web/js/core/policy.js";
import { parseProof, verifyProof } from "../../daemon/chopmark/api/web/js/core/proof.js";
import { isSlip, PREFIX, slipToProof } from "../../daemon/chopmark/api/web/js/core/slip.js";
import { assertRefused, bytes, readVectors } from "./vectors.mjs";

const { base45, policy, good, bad } = readVectors("slip");

for (const one of base45) {
  test(`base45: ${one.text}`, () => {
    assert.equal(toLatin1(parseBase45(one.base45)), one.text);
    assert.equal(encodeBase45(bytes(one.text)), one.base45);
  });
}

for (const one of good) {
  test(`slip: ${one.name}`, () => {
    const data = slipToProof(one.slip);
    assert.equal(new TextDecoder().decode(data), one.proof);
    assert.ok(verifyProof(parseProof(data), parsePolicy(bytes(policy))).quorum);
    assert.ok(isSlip(one.slip));
  });
}

for (const one of bad) {
  test(`bad slip: ${one.name}`, () => assertRefused(() => slipToProof(one.slip), one.code));
}

test("a slip with any bit flipped is refused", () => {
  const data = parseBase45(good[2].slip.slice(PREFIX.length));
  for (let bit = 0; bit < data.length * 8; bit += 3) {
    const flipped = data.slice();
    flipped[bit >> 3] ^= 1 << (bit & 7);
    assert.throws(() => slipToProof(PREFIX + encodeBase45(flipped)), { name: /MalformedError|RefusedError/ });
  }
});

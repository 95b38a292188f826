// Slips read as Python's core reads them, and what is none is refused with the same code.

import assert from "node:assert/strict";
import { test } from "node:test";

import { ALPHABET, parseBase45 } from "../../daemon/chopmark/api/web/js/core/base45.js";
import { toLatin1 } from "../../daemon/chopmark/api/web/js/core/bytes.js";
import { parsePolicy } from "../../daemon/chopmark/api/web/js/core/policy.js";
import { parseProof, verifyProof } from "../../daemon/chopmark/api/web/js/core/proof.js";
import { isSlip, slipToProof } from "../../daemon/chopmark/api/web/js/core/slip.js";
import { assertRefused, bytes, readVectors } from "./vectors.mjs";

const { base45, policy, good, bad } = readVectors("slip");

for (const one of base45) {
  test(`base45: ${one.text}`, () => {
    assert.equal(toLatin1(parseBase45(one.base45)), one.text);
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

test("a slip with any other character is refused", () => {
  const { slip } = good[2];
  for (let at = 0; at < slip.length; at++) {
    const other = ALPHABET[(ALPHABET.indexOf(slip[at]) + 1) % ALPHABET.length];
    const text = slip.slice(0, at) + other + slip.slice(at + 1);
    assert.throws(() => slipToProof(text), { name: "MalformedError" }, `at ${at}`);
  }
});

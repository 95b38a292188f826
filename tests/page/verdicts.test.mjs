// Python's verdicts about proofs, without a replica: ours are the same, with the same evidence.

import assert from "node:assert/strict";
import { test } from "node:test";

import { fromHex } from "../../daemon/chopmark/api/web/js/core/bytes.js";
import { openSeal, verifyByPolicy, verifyBySeal } from "../../daemon/chopmark/api/web/js/core/offline.js";
import { parseProof } from "../../daemon/chopmark/api/web/js/core/proof.js";
import { bytes, plain, readVectors } from "./vectors.mjs";

const { policies, seals, cases } = readVectors("verdict");

for (const one of cases) {
  test(`${one.verdict}: ${one.name}`, () => {
    const { word, facts } = verify(one);
    const told = {
      verdict: word,
      match: facts.match,
      quorum: facts.quorum,
      existed_by: facts.existedBy,
      witnesses: facts.witnesses.map(({ name, time }) => [name, time]),
      dropped: facts.dropped,
      kind: facts.entry?.kind ?? null,
      institution: facts.issuer.institution,
      successor: facts.issuer.successor,
      problem: facts.problem !== null,
      warning: facts.warning !== null,
      notaries: facts.notaries !== null,
    };
    const expected = Object.keys(told).map((key) => [key, one[key]]);
    assert.deepEqual(plain(told), Object.fromEntries(expected));
  });
}

function verify({ proof, policy, seal, digests, question }) {
  const asked = {
    now: BigInt(question.now),
    expectIssuer: question.expect_issuer ?? null,
    expectKind: question.expect_kind ?? null,
  };
  const given = digests === null ? null : readDigests(digests);
  if (policy !== undefined) {
    return verifyByPolicy(given, bytes(proof), bytes(policies[policy]), asked);
  }
  return verifyBySeal(given, parseProof(bytes(proof)), openSeal(seals[seal]), asked);
}

const readDigests = ({ sha256, sm3, canonical }) => ({
  sha256: fromHex(sha256),
  sm3: sm3 === null ? null : fromHex(sm3),
  canonical: canonical.map(([name, digest]) => [name, fromHex(digest)]),
});

// What the offline verifier says of a log of which it was told that it has two histories: as
// docs/verdicts.md (Forks), where nothing but a proof is at hand.

import assert from "node:assert/strict";
import { test } from "node:test";

import { fromHex } from "../../daemon/chopmark/api/web/js/core/bytes.js";
import { openSeal, verifyBySeal } from "../../daemon/chopmark/api/web/js/core/offline.js";
import { parseProof } from "../../daemon/chopmark/api/web/js/core/proof.js";
import { bytes, readVectors } from "./vectors.mjs";

const { seals, cases } = readVectors("verdict");
const good = cases.find(({ name }) => name === "sealed: three");
const proof = parseProof(bytes(good.proof));
const [origin, size, later] = ["bank-hk.example/hk-1", Number(proof.checkpoint.size), 60_000];

function verify(fork, seal = seals.three) {
  const opened = openSeal({ ...seal, forked: { [origin]: fork } });
  const digests = { sha256: fromHex(good.digests.sha256) };
  const { word, facts } = verifyBySeal(digests, proof, opened, { now: BigInt(good.question.now) });
  return [word, facts.problem?.code ?? null, facts.warning?.code ?? null];
}

const at = (ms) => new Date(good.existed_by + ms).toISOString();
const UNTRUSTED = ["untrusted", "log-forked", null];
const WARNED = ["valid-as-of", null, "log-forked"];

test("a head below both histories, witnessed before that was found, stays good with a warning", () => {
  assert.equal(good.verdict, "valid-as-of");
  assert.deepEqual(verify({ below: size + 1, found_at: at(later) }), WARNED);
  assert.deepEqual(verify({ below: size + 1, found_at: null }), WARNED);
});

test("a head that is one of them or lies above, or was witnessed since, is untrusted", () => {
  assert.deepEqual(verify({ below: size, found_at: at(later) }), UNTRUSTED);
  assert.deepEqual(verify({ below: size + 1, found_at: at(-1) }), UNTRUSTED);
});

test("without a quorum nobody but a gateway can tell", () => {
  const [logs] = seals.three.policies[origin].match(/^log .*\n/);
  const seal = { ...seals.three, policies: { [origin]: `${logs}quorum none\n` } };
  assert.deepEqual(verify({ below: size + 1, found_at: at(later) }, seal), UNTRUSTED);
});

test("a fork of another log is no matter", () => {
  const opened = openSeal({ ...seals.three, forked: { "x.example/y": { below: 1, found_at: null } } });
  const digests = { sha256: fromHex(good.digests.sha256) };
  const { word, facts } = verifyBySeal(digests, proof, opened, { now: BigInt(good.question.now) });
  assert.deepEqual([word, facts.warning], [good.verdict, null]);
});

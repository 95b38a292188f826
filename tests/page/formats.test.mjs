// Each format's vectors, which Python's core is tested with as well: what is good reads the same,
// and what is bad is refused with the same code.

import assert from "node:assert/strict";
import { test } from "node:test";

import { blind } from "../../daemon/chopmark/api/web/js/core/blinding.js";
import { equal, fromHex, toHex } from "../../daemon/chopmark/api/web/js/core/bytes.js";
import { encodeCheckpoint, openCheckpoint } from "../../daemon/chopmark/api/web/js/core/checkpoint.js";
import { parseEntry } from "../../daemon/chopmark/api/web/js/core/entry.js";
import { parseVkey } from "../../daemon/chopmark/api/web/js/core/keys.js";
import { encodeNote, parseNote, verifyNote } from "../../daemon/chopmark/api/web/js/core/note.js";
import { parsePolicy } from "../../daemon/chopmark/api/web/js/core/policy.js";
import { encodeProof, parseProof, verifyProof } from "../../daemon/chopmark/api/web/js/core/proof.js";
import { openRoster } from "../../daemon/chopmark/api/web/js/core/roster.js";
import { assertRefused, bytes, plain, readVectors } from "./vectors.mjs";

const TYPES = {
  Adoption: "adoption",
  Attestation: "attestation",
  Commitment: "commitment",
  Revocation: "revocation",
  UnknownFormat: "unknown-format",
};
const camel = (name) => name.replace(/_(.)/g, (_, letter) => letter.toUpperCase());

for (const { keys, good, bad, bad_keys: weak } of [readVectors("note")]) {
  for (const one of weak) {
    test(`bad key: ${one.name}`, () => assertRefused(() => parseVkey(one.vkey), "malformed-vkey"));
  }
  const known = keys.map(parseVkey);
  test("vkeys read and are written again", () => {
    assert.deepEqual(known.map((key) => key.encode()), keys);
  });
  for (const one of good) {
    test(`note: ${one.name}`, () => {
      const note = parseNote(bytes(one.note));
      assert.equal(note.text, one.text);
      assert.ok(equal(encodeNote(note), bytes(one.note)));
      const verified = verifyNote(note, known).map(({ key, time }) => [key.name, Number(time)]);
      assert.deepEqual(verified, one.verified);
    });
  }
  for (const one of bad) {
    test(`bad note: ${one.name}`, () => {
      assertRefused(() => verifyNote(parseNote(bytes(one.note)), known), one.code);
    });
  }
}

for (const { log, cosigner, good, bad } of [readVectors("checkpoint")]) {
  const open = (note) => openCheckpoint(bytes(note), parseVkey(log), [parseVkey(cosigner)]);
  for (const one of good) {
    test(`checkpoint of ${one.size}`, () => {
      const { checkpoint, note, verified } = open(one.note);
      assert.equal(checkpoint.size, BigInt(one.size));
      assert.equal(toHex(checkpoint.root), one.root);
      assert.equal(encodeCheckpoint(checkpoint), note.text);
      assert.equal(verified.length, 2);
    });
  }
  for (const one of bad) {
    test(`bad checkpoint: ${one.name}`, () => assertRefused(() => open(one.note), one.code));
  }
}

for (const { good, bad, blinding } of [readVectors("entry")]) {
  for (const one of good) {
    test(`entry: ${one.name}`, () => {
      const entry = plain(parseEntry(fromHex(one.hex)));
      assert.equal(entry.type, TYPES[one.type]);
      for (const [name, value] of Object.entries(one.fields)) {
        if (one.type === "UnknownFormat") continue;
        assert.deepEqual(entry[name === "type" ? "of" : camel(name)], value, name);
      }
    });
  }
  for (const one of bad) {
    test(`bad entry: ${one.name}`, () => assertRefused(() => parseEntry(fromHex(one.hex)), one.code));
  }
  for (const { algorithm, digest, blinded } of blinding.digests) {
    test(`blinded digest of ${algorithm}`, () => {
      const made = blind(fromHex(blinding.salt), blinding.origin, algorithm, fromHex(digest));
      assert.equal(toHex(made), blinded);
    });
  }
}

for (const { policy, good, bad } of [readVectors("proof")]) {
  const trusted = parsePolicy(bytes(policy));
  for (const one of good) {
    test(`proof: ${one.name}`, () => {
      const proof = parseProof(bytes(one.proof));
      assert.ok(equal(encodeProof(proof), bytes(one.proof)));
      const { index, extra, quorum, existedBy } = verifyProof(proof, trusted);
      assert.deepEqual(plain({ index, entry: extra.entry, quorum, existed_by: existedBy }), {
        index: one.index,
        entry: one.entry,
        quorum: one.quorum,
        existed_by: one.existed_by,
      });
    });
  }
  for (const one of bad) {
    test(`bad proof: ${one.name}`, () => {
      assertRefused(() => verifyProof(parseProof(bytes(one.proof)), trusted), one.code);
    });
  }
}

for (const { good, notaries, bad } of [readVectors("policy")]) {
  const reached = (policy, names) => policy.isSatisfied(names.map((name) => policy.witnesses.get(name)));
  for (const one of [...good, ...notaries]) {
    test(`policy: ${one.name ?? one.kind}`, () => {
      const read = parsePolicy(bytes(one.policy));
      const policy = one.kind === undefined ? read : read.forKind(one.kind);
      for (const names of one.reached_by) assert.ok(reached(policy, names), names.join());
      for (const names of one.not_reached_by) assert.ok(!reached(policy, names), names.join());
    });
  }
  for (const one of bad) {
    test(`bad policy: ${one.name}`, () => assertRefused(() => parsePolicy(bytes(one.policy)), one.code));
  }
}

for (const { good, bad } of [readVectors("roster")]) {
  for (const one of good) {
    test(`roster: ${one.name}`, () => {
      const { members, fingerprint } = openRoster(bytes(one.note));
      assert.deepEqual(fingerprint, { hex: one.hex, words: one.words });
      assert.ok(members.length > 0);
    });
  }
  // Who signed, and what may follow what, is for gateways to judge.
  for (const one of bad.filter(({ code }) => code === "malformed-roster")) {
    test(`bad roster: ${one.name}`, () => assertRefused(() => openRoster(bytes(one.note)), one.code));
  }
}

for (const { policy, good, carrying } of [readVectors("consent")]) {
  const trusted = parsePolicy(bytes(policy));
  for (const [name, text] of [...good.map((one) => [one.name, one.proof]), ["document that carries them", carrying.proof]]) {
    test(`proof of a consent or use: ${name}`, () => {
      const { extra, quorum } = verifyProof(parseProof(bytes(text)), trusted);
      assert.ok(quorum);
      assert.ok(extra.bodies.length > 0);
    });
  }
}

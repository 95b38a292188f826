// Members as a judgement sees them, and what people are shown of texts from outside.

import assert from "node:assert/strict";
import { test } from "node:test";

import { quote } from "../../daemon/chopmark/api/web/js/core/bytes.js";
import { parseNote } from "../../daemon/chopmark/api/web/js/core/note.js";
import { openRoster } from "../../daemon/chopmark/api/web/js/core/roster.js";
import { bytes, readVectors } from "./vectors.mjs";

const { members } = openRoster(bytes(readVectors("roster").good[0].note));
const [member] = members;

for (const end of ["/cosigner", "/cosigner-2", "/cosigner-10"]) {
  test(`a key named …${end} cosigns for its member`, () => {
    assert.ok(member.isCosigner(member.origin + end));
  });
}

for (const end of ["", "/cosigner-1", "/cosigner-02", "/cosigner-2/cosigner", "/cosigner/x/cosigner", "/cosigner-2\n"]) {
  test(`a key named …${JSON.stringify(end)} does not, though a member's origin may begin so`, () => {
    assert.ok(!member.isCosigner(member.origin + end));
  });
}

test("what a proof says of itself is quoted, and cannot turn the text around it", () => {
  assert.equal(quote("a\u202eb\u200bc\u2028"), '"a\\u{202e}b\\u{200b}c\\u{2028}"');
  assert.equal(quote("x".repeat(200)), `"${"x".repeat(80)}"`);
  const told = "Genuine \u202e";
  assert.throws(() => parseNote(bytes(`a\n\n${told}\n`)), /"Genuine \\u\{202e\}"/);
  assert.throws(() => parseNote(bytes(`a\n\n\u2014 \u202e= AAAA\n`)), /\\u\{202e\}/);
});

// Answers what a Python test asks on standard input, to compare: a list of [what, base64], answered
// by a list of words: a verdict, `read`, or the code of the error.

import { readFileSync } from "node:fs";

import { fromLatin1, parseUtf8 } from "../../daemon/chopmark/api/web/js/core/bytes.js";
import { parseEntry } from "../../daemon/chopmark/api/web/js/core/entry.js";
import { ChopmarkError } from "../../daemon/chopmark/api/web/js/core/errors.js";
import { parseVkey } from "../../daemon/chopmark/api/web/js/core/keys.js";
import { parseNote } from "../../daemon/chopmark/api/web/js/core/note.js";
import { verifyByPolicy } from "../../daemon/chopmark/api/web/js/core/offline.js";
import { parsePolicy } from "../../daemon/chopmark/api/web/js/core/policy.js";
import { parseRoster } from "../../daemon/chopmark/api/web/js/core/roster.js";

const { policy, now, asked } = JSON.parse(readFileSync(0, "utf8"));
const question = { now: BigInt(now) };
const trusted = fromLatin1(atob(policy));

const READERS = {
  entry: (data) => parseEntry(data).type,
  note: (data) => parseNote(data) && "read",
  policy: (data) => parsePolicy(data) && "read",
  proof: (data) => verifyByPolicy(null, data, trusted, question).word,
  roster: (data) => parseRoster(parseUtf8(data, "a roster")) && "read",
  vkey: (data) => parseVkey(parseUtf8(data, "a vkey")).encode(),
};

function answer([what, data]) {
  try {
    return READERS[what](fromLatin1(atob(data)));
  } catch (error) {
    if (!(error instanceof ChopmarkError)) throw error;
    return error.code;
  }
}

process.stdout.write(JSON.stringify(asked.map(answer)));

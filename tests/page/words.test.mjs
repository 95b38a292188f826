// The offline verifier's texts, and those it shares with the page: every language has every message, with the same values in it.

import assert from "node:assert/strict";
import { test } from "node:test";

import { messages } from "../../daemon/chopmark/api/web/js/deal/words.js";
import en from "../../daemon/chopmark/api/web/js/i18n/offline-en.js";
import hans from "../../daemon/chopmark/api/web/js/i18n/offline-zh-Hans.js";
import hant from "../../daemon/chopmark/api/web/js/i18n/offline-zh-Hant.js";
import sharedEn from "../../daemon/chopmark/api/web/js/i18n/shared-en.js";
import sharedHans from "../../daemon/chopmark/api/web/js/i18n/shared-zh-Hans.js";
import sharedHant from "../../daemon/chopmark/api/web/js/i18n/shared-zh-Hant.js";

const valuesIn = (text) => [...new Set(text.match(/\{\w+\}/g))].sort();

const cases = [["zh-Hans", hans, en], ["zh-Hant", hant, en], ["zh-Hans, shared", sharedHans, sharedEn], ["zh-Hant, shared", sharedHant, sharedEn]];
for (const [tag, table, english] of cases) {
  test(`messages in ${tag}`, () => {
    assert.deepEqual(Object.keys(table), Object.keys(english));
    for (const [key, text] of Object.entries(table)) {
      assert.deepEqual(valuesIn(text), valuesIn(english[key]), key);
      assert.match(text, /\p{Script=Han}/u, key);
    }
  });
}

for (const tag of ["zh-Hant", "zh-Hans"]) {
  test(`messages of scenarios and traces in ${tag}`, () => {
    const english = Object.entries(messages.en).filter(([key]) => !key.endsWith(".one"));
    assert.deepEqual(Object.keys(messages[tag]), english.map(([key]) => key));
    for (const [key, text] of english) {
      assert.deepEqual(valuesIn(messages[tag][key]), valuesIn(text), key);
      assert.match(messages[tag][key], /\p{Script=Han}/u, key);
    }
  });
}

// The offline verifier's texts: every language has every message, with the same values in it.

import assert from "node:assert/strict";
import { test } from "node:test";

import en from "../../daemon/chopmark/api/web/js/i18n/offline-en.js";
import hans from "../../daemon/chopmark/api/web/js/i18n/offline-zh-Hans.js";
import hant from "../../daemon/chopmark/api/web/js/i18n/offline-zh-Hant.js";

const valuesIn = (text) => [...new Set(text.match(/\{\w+\}/g))].sort();

for (const [tag, table] of Object.entries({ "zh-Hans": hans, "zh-Hant": hant })) {
  test(`messages in ${tag}`, () => {
    assert.deepEqual(Object.keys(table), Object.keys(en));
    for (const [key, text] of Object.entries(table)) {
      assert.deepEqual(valuesIn(text), valuesIn(en[key]), key);
      assert.match(text, /\p{Script=Han}/u, key);
    }
  });
}

// Values in messages: what a name may do to the text around it, and where Chinese is set off.

import assert from "node:assert/strict";
import { test } from "node:test";

import { fill, isolate } from "../../daemon/chopmark/api/web/js/i18n/fill.js";

test("values take the place of names, and what has none stays", () => {
  assert.equal(fill("{a} of {b}{c}", { a: 1, b: "x" }), "1 of x{c}");
  assert.equal(fill("{a}", { a: "$& {b}", b: 2 }), "$& {b}");
});

test("Latin names and numbers are set off from Chinese, and from nothing else", () => {
  const issuer = "Bank (example)";
  assert.equal(fill("{issuer}已簽署，{issuer}。", { issuer }), "Bank (example)\u2009已簽署，Bank (example)。");
  assert.equal(fill("由{issuer}簽發", { issuer: "示範銀行" }), "由示範銀行簽發");
  assert.equal(fill("至 {until}。共{count}份", { until: "2026", count: 3 }), "至 2026。共\u20093\u2009份");
  assert.equal(fill("by {issuer}: {count}", { issuer, count: 3 }), "by Bank (example): 3");
});

test("a name that could turn the text around it is isolated", () => {
  assert.equal(isolate("statement.pdf"), "statement.pdf");
  assert.equal(isolate("在.pdf"), "在.pdf");
  assert.equal(isolate("בנק"), "\u2068בנק\u2069");
  assert.equal(isolate("bill\u202efdp.exe"), "\u2068billfdp.exe\u2069");
  assert.equal(isolate("a\u2069b"), "\u2068ab\u2069");
  assert.equal(fill("Close {name}", { name: "بنك" }), "Close \u2068بنك\u2069");
});

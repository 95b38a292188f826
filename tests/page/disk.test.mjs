// The overview's part for the disk: what will be full soon is never green.

import assert from "node:assert/strict";
import { test } from "node:test";

import { disk } from "../../daemon/chopmark/api/web/js/overview/parts.js";

const storage = (more) => ({ storage: { state: "ok", used: 0.5, stop: 0.97, free_bytes: 1e9, days_left: null, soon: false, ...more } });

test("tone of the disk", () => {
  assert.equal(disk(storage({})).tone, "good");
  assert.equal(disk(storage({ days_left: 30 })).tone, "good");
  assert.equal(disk(storage({ days_left: 0.4, soon: true })).tone, "warn");
  assert.equal(disk(storage({ state: "storage-alarm", used: 0.91 })).tone, "warn");
  assert.equal(disk(storage({ state: "storage-full", used: 0.975, days_left: 0, soon: true })).tone, "bad");
});

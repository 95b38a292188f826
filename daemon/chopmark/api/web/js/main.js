/** The page begins here: language, frame, and the view that the address names. */

import { Api } from "./api.js";
import * as i18n from "./i18n/index.js";
import { openShell } from "./shell.js";

/** Loads of each view, by the first word behind `#/`. */
const VIEWS = {
  verify: () => import("./views/verify.js"),
  overview: () => import("./views/overview.js"),
  ledger: () => import("./views/ledger.js"),
  attest: () => import("./views/attest.js"),
};
const app = { api: new Api(), i18n, session: { house: null } };
const main = document.getElementById("main");
let leave = () => {};
let turn = 0;

/** The name of the view, and what follows it. */
function where() {
  const [name, ...rest] = location.hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);
  return { name: name in VIEWS ? name : "verify", rest };
}

async function show({ focus = false } = {}) {
  const mine = ++turn;
  const { name, rest } = where();
  const view = await VIEWS[name]();
  if (mine !== turn) return;
  leave();
  main.replaceChildren();
  main.dataset.view = name;
  shell.mark(name);
  leave = view.mount(main, app, rest) ?? (() => {});
  if (focus) main.focus({ preventScroll: true });
  main.dataset.ready = name;
  performance.mark("ready"); // what `make bench` looks for
}

async function relearn(tag) {
  await i18n.speak(tag);
  shell.draw();
  await show();
}

await i18n.speak(i18n.preferred(), { remember: false });
const shell = openShell(app, { names: Object.keys(VIEWS), relearn });
addEventListener("hashchange", () => show({ focus: true }));
await show();

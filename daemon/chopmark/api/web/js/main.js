/** The page begins here: language, frame, and the view that the address names. */

import { Api } from "./api.js";
import { denied } from "./denied.js";
import * as i18n from "./i18n/index.js";
import { learn } from "./session.js";
import { mayUse, openShell } from "./shell.js";

/** Loads of each view, by the first word behind `#/`. */
const VIEWS = {
  verify: () => import("./views/verify.js"),
  overview: () => import("./views/overview.js"),
  ledger: () => import("./views/ledger.js"),
  attest: () => import("./views/attest.js"),
  scenario: () => import("./views/scenario.js"),
  trace: () => import("./views/trace.js"),
  signin: () => import("./views/signin.js"),
};
/** Who is not signed in, or not any more, is shown where to. */
const SIGN_IN = new Set(["sign-in-needed", "session-ended"]);
/** Milliseconds between two looks whether the session still lasts. */
const PAUSE = 60_000;

const app = { api: new Api(), i18n, session: { house: null, who: null } };
const main = document.getElementById("main");
let leave = () => {};
let turn = 0;
let wanted = "";

/** The name of the view, and what follows it. */
function where() {
  const [name, ...rest] = location.hash.replace(/^#\/?/, "").split("/").map(decode);
  return { name: Object.hasOwn(VIEWS, name) ? name : "verify", rest };
}

/** A word of an address; whatever is typed there must not leave the page empty. */
function decode(word) {
  try {
    return decodeURIComponent(word);
  } catch {
    return word;
  }
}

async function show({ focus = false } = {}) {
  const mine = ++turn;
  const { name, rest } = where();
  const view = mayUse(app.session.who, name) ? await VIEWS[name]() : denied(name);
  if (mine !== turn) return;
  i18n.extend(view.messages ?? {});
  leave();
  delete main.dataset.ready;
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

app.api.onUnauthorised = ({ code }) => {
  if (!SIGN_IN.has(code) || where().name === "signin") return;
  wanted = location.hash;
  location.hash = `#/signin/${code}`;
};
app.session.onChange = (who, before) => {
  if (before !== null) { // what one person has seen is not for the next one at this computer
    if (who.signed_in && wanted) location.hash = wanted;
    document.body.hidden = true; // until it is there anew
    location.reload();
    return;
  }
  shell.draw();
  shell.greet();
  if (!who.signed_in || where().name !== "signin" || !wanted) return;
  location.hash = wanted; // on with what was asked for
  wanted = "";
};

/** Whether somebody is signed in; a gateway without signing in knows no such thing. */
async function remember(options) {
  if (document.hidden) return;
  await learn(app, options).catch(() => { app.session.who ??= null; });
}

await i18n.speak(i18n.preferred(), { remember: false });
const shell = openShell(app, { relearn });
addEventListener("hashchange", () => show({ focus: true }));
await show();
await remember();
shell.draw();
if (!mayUse(app.session.who, where().name)) await show();
setInterval(() => app.session.who && remember({ background: true }), PAUSE);

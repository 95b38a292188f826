// The offline verifier: one file that opens from a disk, checks documents and their proofs by what a
// gateway has sealed into it, and talks to nobody.

import { h, keep, kept, s, set } from "../dom.js";
import { isolate } from "../i18n/fill.js";
import { card, rank, wordsOf } from "./card.js";
import { Desk } from "./desk.js";
import { dropZone } from "./drop.js";
import { dropped } from "./files.js";
import { readSeal, refusal, refusalPanel, sealPanel } from "./seal.js";
import { LANGUAGES, kindName, language, number, preferred, speak, t } from "./words.js";

const now = () => BigInt(Date.now());
const main = h("main", { id: "main", tabindex: -1 });
const announcer = h("div", { class: "unseen", role: "status", "aria-live": "polite" });
const top = h("header", { class: "top" });
const foot = h("footer", { class: "foot" });
const results = h("div", { class: "results", id: "results" });
const seal = openOrNull();
const desk = seal === null ? null : new Desk(seal, now, showResults);
let lately = "";

function start() {
  const dark = kept("theme") ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  document.documentElement.dataset.theme = dark;
  speak(preferred());
  document.body.append(top, main, foot, announcer);
  if (desk !== null) desk.onProgress = showProgress;
  addEventListener("beforeprint", () => {
    for (const fold of document.querySelectorAll(".verdict-fold")) fold.open = true;
  });
  acceptDrops();
  render();
}

function openOrNull() {
  try {
    return readSeal(document.getElementById("seal").textContent);
  } catch {
    return null;
  }
}

const refused = () => (seal === null ? "damaged" : refusal(seal, now()));

function render() {
  document.title = t("title");
  set(top, topBar());
  set(foot, h("div", { class: "foot-inner" }, h("span", {}, t("promise"))));
  const why = refused();
  set(main,
    h("div", { class: "head" }, h("h1", {}, t("title")), why === null && h("p", {}, t("lead"))),
    h("div", { class: "verify" },
      why === null ? [dropZone(take), expectations(), results] : refusalPanel(why, seal),
      seal !== null && sealPanel(seal, now())));
  if (why === null) showResults();
}

function topBar() {
  const select = h("select", { "aria-label": t("language"), onchange: () => { speak(select.value); render(); } },
    Object.entries(LANGUAGES).map(([tag, name]) =>
      h("option", { value: tag, selected: tag === language(), lang: tag }, name)));
  return h("div", { class: "top-inner" },
    h("div", { class: "brand" }, mark(), h("div", {},
      h("div", { class: "brand-name" }, "chopmark"),
      h("div", { class: "brand-house" }, seal !== null && h("bdi", {}, seal.about.gateway.institution)))),
    h("div", { class: "tools" }, select,
      h("button", { type: "button", "aria-label": t("theme"), onclick: turnTheme }, halfMoon())));
}

function turnTheme() {
  const root = document.documentElement;
  root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
  keep("theme", root.dataset.theme);
}

function expectations() {
  const issuers = [...new Set(seal.members.map(({ institution }) => institution))].sort();
  const kinds = seal.roster.kind.map(({ name }) => name);
  return h("div", { class: "expect card" },
    choice("expectIssuer", issuers.map((name) => [name, isolate(name)])),
    kinds.length > 0 && choice("expectKind", kinds.map((name) => [name, kindName(name)])));
}

function choice(name, options) {
  const select = h("select", { id: name, onchange: () => {
    desk.expected[name] = select.value || null;
    showResults();
  } }, h("option", { value: "" }, t(`${name}.any`)), options.map(([value, shown]) =>
    h("option", { value, selected: desk.expected[name] === value }, shown)));
  return h("div", { class: "field" }, h("label", { for: name }, t(name)), select);
}

async function take(files, { areSlips = false } = {}) {
  if (files.length === 0 || refused() !== null) return render();
  await (areSlips ? desk.addSlips(files) : desk.add(files));
  results.querySelector(".verdict")?.scrollIntoView({ block: "nearest" });
  return undefined;
}

function acceptDrops() {
  const hot = (on) => main.querySelector(".drop")?.classList.toggle("hot", on);
  addEventListener("dragover", (event) => { event.preventDefault(); hot(true); });
  addEventListener("dragleave", () => hot(false));
  addEventListener("drop", async (event) => {
    event.preventDefault(); // wherever it falls: the browser must not open it
    hot(false);
    if (desk !== null) take(await dropped(event.dataTransfer));
  });
}

function showResults() {
  if (refused() !== null) return render(); // it has run out while it was open
  const found = desk.results().sort((a, b) => rank(a) - rank(b));
  document.body.classList.toggle("has-results", found.length > 0);
  const tools = h("div", { class: "summary-head no-print" },
    h("h2", {}, t("results", { count: number(found.length) })),
    h("span", { class: "summary-tools" },
      h("button", { type: "button", class: "button small", onclick: () => print() }, t("print")),
      h("button", { type: "button", class: "button small", onclick: () => desk.clear() }, t("clear"))));
  set(results, found.length > 0 && tools, found.map((one) => card(one, seal.members, found.length > 1, say)));
  const said = found.filter(({ state }) => state !== "busy").map((one) => `${isolate(one.name)}: ${wordsOf(one).title}`).join(". ");
  if (said !== lately) announcer.textContent = lately = said;
  return undefined;
}

/** The focus goes to the verdict that the answer makes. */
function say(given, confirmed) {
  desk.confirm(given, confirmed);
  [...results.children].find((one) => one.given === given)?.querySelector(".verdict-title").focus();
}

function showProgress({ part, ...document }) {
  for (const row of results.children) {
    if (row.document?.file === document.file) row.show(part);
  }
}

const halfMoon = () => s("svg", { width: 18, height: 18, viewBox: "0 0 18 18", "aria-hidden": "true" },
  s("circle", { cx: 9, cy: 9, r: 7, fill: "none", stroke: "currentColor", "stroke-width": 1.6 }),
  s("path", { d: "M9 2a7 7 0 0 1 0 14z", fill: "currentColor" }));

const mark = () => s("svg", { class: "brand-mark", viewBox: "0 0 64 64", "aria-hidden": "true" },
  s("circle", { cx: 32, cy: 32, r: 29, fill: "#1f4e79" }),
  s("circle", { cx: 32, cy: 32, r: 24.5, fill: "none", stroke: "#fbfaf7", "stroke-width": 2 }),
  s("path", { d: "M23 23h18v18H23z", fill: "#fbfaf7" }),
  s("path", { d: "M40 38h17v17H40z", fill: "#b3261e", stroke: "#fbfaf7", "stroke-width": 2.5 }),
  s("path", { d: "M44 46.5l3.4 3.6 6-7", fill: "none", stroke: "#fff", "stroke-width": 2.6 }));

start();

/** Ledger: look through our log and every copy, and at one entry's life. */

import { query } from "../api.js";
import { h, set, uid } from "../dom.js";
import { number } from "../format.js";
import { isolate } from "../i18n/fill.js";
import { t } from "../i18n/index.js";
import { entryTable } from "../ledger/table.js";
import { entryLife } from "../ledger/life.js";
import { problemBox } from "../problem.js";
import { kindName } from "../verify/expect.js";
import { learn } from "../verify/members.js";

const PAGE = 50;
/** What is looked for outlives a look at one entry. */
const wanted = { id: "", text: "", kind: "", until: "" };

/** The address says whose log and which entry: `#/ledger/hk-1/42`. */
export function mount(root, app, [id = "", index = ""] = []) {
  const stop = new AbortController();
  const place = h("div", { class: "ledger" });
  set(root, place);
  open(place, app, id, index, stop.signal).catch((error) => {
    if (error.name !== "AbortError") set(place, heading(), problemBox(error));
  });
  return () => stop.abort();
}

async function open(root, app, id, index, signal) {
  const { members, kinds } = await learn(app.api);
  if (signal.aborted) return;
  if (members.some((one) => one.id === id)) wanted.id = id;
  wanted.id ||= members[0].id;
  if (/^\d+$/.test(index)) {
    set(root, await entryLife(app, members, wanted.id, Number(index), signal));
    return;
  }
  browse(root, app, members, kinds, signal);
}

const heading = () => h("div", { class: "head" }, h("h1", {}, t("ledger.title")), h("p", {}, t("ledger.lead")));

function browse(root, app, members, kinds, signal) {
  const results = h("div", { class: "ledger-results" });
  let turn = 0;
  const look = async (before) => {
    const mine = (turn += 1);
    try {
      const found = await find(app.api, before, signal);
      if (mine === turn) set(results, show(found, before, look));
    } catch (error) {
      if (error.name !== "AbortError" && mine === turn) set(results, problemBox(error));
    }
  };
  const form = h("form", { class: "search card", role: "search", onsubmit: (event) => { event.preventDefault(); look(); } },
    choice("id", members.map((one) => [one.id, `${isolate(one.institution)} · ${one.id}`]), look),
    field("text", h("input", {
      type: "search", value: wanted.text, placeholder: t("ledger.text.example"), spellcheck: "false", autocomplete: "off",
      oninput: (event) => { wanted.text = event.target.value.trim().toLowerCase(); },
    })),
    choice("kind", [["", t("expect.kind.any")], ...kinds.map((kind) => [kind, kindName(kind)])], look),
    field("until", h("input", {
      type: "datetime-local", value: wanted.until, oninput: (event) => { wanted.until = event.target.value; }, onchange: () => look(),
    })),
    h("div", { class: "search-go" },
      h("button", { class: "button main" }, t("ledger.search")),
      h("button", { type: "button", class: "button plain", onclick: () => { Object.assign(wanted, { text: "", kind: "", until: "" }); browse(root, app, members, kinds, signal); } }, t("ledger.reset"))));
  set(root, heading(), form, results);
  look();
}

function field(name, input) {
  input.id = uid(name);
  return h("div", { class: `field field-${name}` }, h("label", { for: input.id }, t(`ledger.${name}`)), input);
}

function choice(name, options, look) {
  return field(name, h("select", { onchange: (event) => { wanted[name] = event.target.value; look(); } },
    options.map(([value, text]) => h("option", { value, selected: value === wanted[name] }, text))));
}

/** By digest in all ledgers; by number, or by kind and time, in one. */
async function find(api, before, signal) {
  const { id, text, kind, until } = wanted;
  const begun = performance.now();
  const timed = (found) => ({ ...found, ms: performance.now() - begun });
  if (/^[0-9a-f]{64}$/.test(text)) return timed(await byDigest(api, text, before, signal));
  if (/^#?\d{1,15}$/.test(text)) {
    const before = Number(text.replace("#", "")) + 1;
    return timed(await api.get(`/v1/ledger${query({ id, before, limit: 1 })}`, { signal }));
  }
  if (text) return { wrong: true };
  const time = until ? new Date(until).toISOString() : "";
  const asked = { id, kind, until: time, limit: PAGE };
  let page = await api.get(`/v1/ledger${query({ ...asked, before })}`, { signal });
  while (page.entries.length === 0 && page.next !== null) { // a part of the log is looked at each time
    page = await api.get(`/v1/ledger${query({ ...asked, before: page.next })}`, { signal });
  }
  return timed(page);
}

async function byDigest(api, text, after, signal) {
  for (const algorithm of ["sha256", "sm3"]) {
    const page = await api.get(`/v1/documents/${algorithm}/${text}${query({ after, limit: PAGE })}`, { signal });
    if (page.attestations.length || algorithm === "sm3") return { ...page, entries: null };
  }
  return null;
}

function show(found, before, look) {
  if (found.wrong) return h("p", { class: "problem" }, h("strong", {}, t("ledger.wrong")));
  const entries = found.entries ?? found.attestations.map((one) => ({ ...one, type: "attestation" }));
  const tools = h("div", { class: "pages" },
    before !== undefined && h("button", { type: "button", class: "button small", onclick: () => look() }, t("ledger.newest")),
    found.next !== null && h("button", { type: "button", class: "button small", onclick: () => look(found.next) }, t("ledger.older")));
  const count = found.entries ? t("ledger.of", { count: found.size, size: number(found.size) }) : t("ledger.found", { count: entries.length });
  return [
    h("p", { class: "small muted", role: "status" }, `${count} · ${t("ledger.took", { ms: number(Math.round(found.ms)) })}`),
    entries.length ? entryTable(entries, { everywhere: !found.entries, id: wanted.id }) : h("p", {}, t("ledger.none")),
    tools,
  ];
}

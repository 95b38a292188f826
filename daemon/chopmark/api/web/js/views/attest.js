/** Attest: an issuer's files in, their proofs out. */

import { proofNames, Attesting } from "../attest/jobs.js";
import { MOST, zip } from "../attest/zip.js";
import { h, set, uid } from "../dom.js";
import { bytes, number, percent } from "../format.js";
import { isolate } from "../i18n/fill.js";
import { t } from "../i18n/index.js";
import { problemBox } from "../problem.js";
import { learn as whoAsks } from "../session.js";
import { announce } from "../shell.js";
import { shape } from "../verdicts.js";
import { kindName, noList } from "../verify/expect.js";
import { learn, patiently } from "../verify/members.js";
import { dropped } from "../verify/pairs.js";

const jobs = new Attesting();

export function mount(root, app) {
  const rows = new Map();
  const place = h("div", { class: "attest-list" });
  const tools = h("div", { class: "attest-tools" });
  const form = terms(app);
  set(root,
    h("div", { class: "head" }, h("h1", {}, t("attest.title")), h("p", {}, t("attest.lead"))),
    h("div", { class: "attest" }, form, chooser(), tools, place));

  const draw = (job) => {
    const made = row(job);
    rows.get(job.id)?.replaceWith(made);
    rows.set(job.id, made);
  };
  const drawAll = () => {
    rows.clear();
    jobs.items.forEach(draw);
    set(place, jobs.items.length > 0 && h("ul", { class: "attest-rows" }, jobs.items.map((job) => rows.get(job.id))));
    drawTools();
  };
  const drawTools = () => set(tools, jobs.items.length > 0 && buttons(app, form));
  const onJob = ({ detail }) => { draw(detail); drawTools(); };
  jobs.addEventListener("all", drawAll);
  jobs.addEventListener("job", onJob);
  const stop = listen();
  drawAll();
  return () => {
    jobs.removeEventListener("all", drawAll);
    jobs.removeEventListener("job", onJob);
    stop();
  };
}

/** Kind, end of validity, hidden or not: for all the files. */
function terms(app) {
  const kind = h("select", { id: uid("kind"), required: true, onchange: () => { jobs.terms.kind = kind.value; } },
    h("option", { value: "" }, t("attest.kind.choose")));
  const until = h("input", { type: "date", id: uid("until"), value: jobs.terms.until, onchange: () => { jobs.terms.until = until.value; } });
  const blinded = h("input", { type: "checkbox", id: uid("blinded"), checked: jobs.terms.blinded, onchange: () => { jobs.terms.blinded = blinded.checked; } });
  const why = h("p", { id: uid("why"), class: "small muted" }, t("attest.blinded.why"));
  blinded.setAttribute("aria-describedby", why.id);
  const kinds = h("div", { class: "field" }, h("label", { for: kind.id }, t("attest.kind")), kind);
  const form = h("form", { class: "card attest-terms", onsubmit: (event) => event.preventDefault() },
    kinds,
    h("div", { class: "field" }, h("label", { for: until.id }, t("attest.until")), until),
    h("div", { class: "check" }, blinded, h("div", {}, h("label", { for: blinded.id }, t("attest.blinded")), why)));
  const known = app.session.who ?? whoAsks(app).catch(() => null);
  Promise.all([learn(app.api), patiently(app.api, "/v1/export"), known]).then(([all, own, who]) => {
    const ours = own.kinds.includes("*") ? all.kinds : own.kinds;
    const granted = who?.kinds ?? ["*"]; // what is not would be refused
    for (const name of ours.filter((one) => granted.includes("*") || granted.includes(one))) kind.append(h("option", { value: name, selected: name === jobs.terms.kind }, kindName(name)));
  }, () => kinds.append(noList()));
  return form;
}

function chooser() {
  const id = uid("file");
  const input = h("input", { type: "file", id, multiple: true, class: "unseen", onchange: () => { jobs.add([...input.files]); input.value = ""; } });
  return h("section", { class: "drop", "aria-label": t("verify.drop.label") },
    h("p", { class: "drop-lead" }, t("attest.drop")), input,
    h("label", { for: id, class: "button" }, t("verify.drop.choose")),
    h("p", { class: "small muted" }, t("verify.drop.promise")));
}

function buttons(app, form) {
  const proven = jobs.items.filter((job) => job.proof);
  const due = jobs.items.length - proven.length;
  const part = jobs.items.reduce((sum, job) => sum + (job.proof ? 1 : job.part * 0.8), 0) / jobs.items.length;
  return [
    jobs.busy
      ? h("button", { type: "button", class: "button", onclick: () => jobs.cancel() }, t("verify.cancel.all"))
      : due > 0 && h("button", { type: "button", class: "button main", onclick: () => go(app, form) }, t("attest.go", { count: due, size: number(due) })),
    !jobs.busy && proven.length > 0 && h("button", { type: "button", class: `button${due ? "" : " main"}`, onclick: () => save(proven) },
      t("attest.save", { count: proven.length, size: number(proven.length) })),
    !jobs.busy && h("button", { type: "button", class: "button plain", onclick: () => jobs.clear() }, t("verify.clear")),
    jobs.busy && h("progress", { max: 1, value: part, "aria-label": t("attest.progress") }),
  ];
}

async function go(app, form) {
  if (!form.reportValidity()) return;
  await jobs.run(app.api);
  const proven = jobs.items.filter((job) => job.proof).length;
  announce(t("attest.told", { count: proven, size: number(proven), all: number(jobs.items.length) }));
}

/** One proof as it is; several as an archive, in as many as it takes. */
function save(proven) {
  const names = proofNames(proven);
  const files = proven.map((job, at) => ({ name: names[at], bytes: new TextEncoder().encode(job.proof) }));
  if (files.length === 1) {
    download(new Blob([files[0].bytes], { type: "text/plain" }), files[0].name);
    return;
  }
  const now = new Date();
  const day = now.toISOString().slice(0, 10);
  for (let at = 0; at < files.length; at += MOST) {
    const suffix = files.length > MOST ? `-${at / MOST + 1}` : "";
    download(zip(files.slice(at, at + MOST), now), `chopmark-proofs-${day}${suffix}.zip`);
  }
}

function download(blob, name) {
  const link = h("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

const LOOKS = { done: "valid", failed: "failed" };

function row(job) {
  const provisional = job.state === "done" && job.answer.provisional;
  const word = provisional ? "unwitnessed" : LOOKS[job.state];
  const tone = { valid: "good", failed: "bad", unwitnessed: "warn" }[word];
  return h("li", { class: "card attest-row", dataset: { tone: tone ?? "calm", state: job.state } },
    word ? shape(word, 28) : h("span", { class: "attest-blank" }),
    h("div", { class: "attest-words" },
      h("p", { class: "row-name" }, h("bdi", {}, job.file.name), " ", h("span", { class: "muted small" }, bytes(job.file.size))),
      h("p", { class: "small muted" }, state(job, provisional)),
      job.state === "failed" && problemBox("status" in job.problem ? job.problem : { status: 0, code: "unreadable-file", message: "" })),
    job.state === "hashing" && h("progress", { max: 1, value: job.part, "aria-label": isolate(job.file.name) }),
    job.state === "chosen" && h("button", { type: "button", class: "button small", "aria-label": t("attest.remove.of", { name: job.file.name }), onclick: () => jobs.remove(job) }, t("attest.remove")));
}

function state(job, provisional) {
  if (job.state === "hashing") return t("verify.state.hashing", { part: percent(job.part) });
  const unproven = job.state === "failed" && job.answer !== null;
  if (job.state !== "done" && !unproven) return t(`attest.state.${job.state}`);
  const { index, duplicate, origin } = job.answer;
  const words = t(`attest.state.${unproven ? "unproven" : provisional ? "provisional" : duplicate ? "duplicate" : "done"}`);
  return [words, " ", h("a", { class: "code", href: `#/ledger/${encodeURIComponent(job.answer.id)}/${index}` }, `${origin}#${index}`)];
}

function listen() {
  const over = (event) => { if (event.dataTransfer?.types.includes("Files")) event.preventDefault(); };
  const drop = async (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    jobs.add(await dropped(event.dataTransfer));
  };
  addEventListener("dragover", over);
  addEventListener("drop", drop);
  return () => {
    removeEventListener("dragover", over);
    removeEventListener("drop", drop);
  };
}

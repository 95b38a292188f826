/** Verify: files in, a verdict in plain words out. */

import { h, set, uid } from "../dom.js";
import { number } from "../format.js";
import { t } from "../i18n/index.js";
import { card } from "../verify/card.js";
import { expectations } from "../verify/expect.js";
import { Jobs, MAX_DOCUMENTS, SETTLED } from "../verify/jobs.js";
import { lookOf, titleOf } from "../verify/looks.js";
import { learn } from "../verify/members.js";
import { dropped } from "../verify/pairs.js";
import { progressRow, summary } from "../verify/rows.js";
import { slipButton } from "../verify/slip.js";
import { announce } from "../shell.js";

/** Documents outlive a change of language or of view. */
const jobs = new Jobs();

export function mount(root, app) {
  const rows = new Map();
  const list = h("div", { class: "results" });
  const before = h("div", { "aria-live": "off" });
  const desk = { app, jobs, members: learn(app.api), redraw, answer };
  const take = (files) => files.length && jobs.add([...files], app.api);
  const drop = dropZone(take, slipButton((proof) => jobs.addSlip(proof, t("slip.name"), app.api)));
  const wrap = h("div", { class: "verify" }, drop, expectations(desk), before, list);

  set(root, h("div", { class: "head" }, h("h1", {}, t("verify.title")), h("p", {}, t("verify.lead"))), wrap);

  function redraw(job) {
    if (job.answering) { // the question stays until its answer counts
      rows.get(job.id)?.setAttribute("aria-busy", "true");
      return;
    }
    const row = job.state === "done" || job.state === "failed" ? card(job, desk) : progressRow(job, jobs);
    const old = rows.get(job.id);
    row.dataset.job = job.id;
    rows.set(job.id, row);
    if (old?.isConnected) keepFocus(() => old.replaceWith(row));
  }

  /** Focus must not be lost with the element that had it: where that is gone the verdict gets it. */
  function keepFocus(draw) {
    const focused = document.activeElement;
    const held = [...rows.keys()].find((id) => list.querySelector(`[data-job="${id}"]`)?.contains(focused));
    const { focus: name } = focused.dataset;
    draw();
    if (held === undefined) return;
    const row = rows.get(held);
    (row?.querySelector(`[data-focus="${name}"]`) ?? row?.querySelector('[data-focus="title"]'))?.focus();
  }

  /** What the clerk says of the issuer; null takes it back. */
  function answer(job, confirmed, chosen) {
    if (job.answering) return;
    const asked = job.chosen;
    Object.assign(job, { confirmed, chosen });
    if (chosen === asked) {
      drawAll();
      tell(job);
      return;
    }
    job.answering = true;
    jobs.ask(app.api, [job]);
  }

  function drawAll() {
    keepFocus(drawRows);
    drawSummary();
  }

  function drawRows() {
    rows.clear();
    const items = jobs.busy ? jobs.items : jobs.sorted;
    if (items.length === 1) items[0].open = true;
    items.forEach(redraw);
    set(list, items.map((job) => rows.get(job.id)));
    wrap.classList.toggle("has-results", items.length > 0);
  }

  function drawSummary() {
    const many = jobs.items.length > 1 || jobs.left > 0;
    set(before, many && summary(jobs, { clear: () => jobs.clear() }),
      jobs.left > 0 && h("p", { class: "muted" }, t("verify.left", { most: number(MAX_DOCUMENTS), count: jobs.left })));
  }

  const onAll = () => drawAll();
  const onJob = ({ detail: job }) => {
    if (!jobs.items.includes(job)) return;
    if (job.state === "hashing" && rows.get(job.id)?.moved?.(job.part)) return;
    const { answering } = job;
    job.answering &&= !SETTLED.has(job.state);
    if (jobs.busy) { redraw(job); drawSummary(); return; }
    drawAll();
    if (job.state === "done" || job.state === "failed") tell(answering ? job : null);
  };
  jobs.addEventListener("all", onAll);
  jobs.addEventListener("job", onJob);
  const stop = listenForDrops(drop, take);
  drawAll();

  return () => {
    jobs.removeEventListener("all", onAll);
    jobs.removeEventListener("job", onJob);
    stop();
  };
}

/** What a screen reader says once all are judged, or one whose question was answered. */
function tell(answered = null) {
  const one = answered ?? (jobs.items.length === 1 ? jobs.items[0] : null);
  if (one !== null) {
    announce(`${titleOf(one).replace(/(?<![?？])$/, ".")} ${one.name}`);
    return;
  }
  const bad = jobs.items.filter((job) => job.state !== "done" || !lookOf(job).startsWith("valid")).length;
  announce(t("verify.told", { all: number(jobs.items.length), count: bad }));
}

function dropZone(take, slip) {
  const id = uid("file");
  const input = h("input", {
    type: "file", id, multiple: true, class: "unseen",
    onchange: () => { take(input.files); input.value = ""; },
  });
  return h("section", { class: "drop", "aria-label": t("verify.drop.label") },
    h("div", { class: "drop-words" },
      h("p", { class: "drop-lead" }, t("verify.drop.lead")),
      h("p", { class: "muted" }, t("verify.drop.proof"))),
    input,
    h("div", { class: "drop-ways" }, h("label", { for: id, class: "button main" }, t("verify.drop.choose")), slip),
    h("p", { class: "drop-promise small muted" }, t("verify.drop.promise")));
}

/** Files may be dropped anywhere on the page; the zone shows that they may. */
function listenForDrops(zone, take) {
  let depth = 0;
  const hot = (on) => zone.classList.toggle("hot", on);
  const carries = (event) => event.dataTransfer?.types.includes("Files");
  const listeners = {
    dragenter: (event) => { if (carries(event)) { depth += 1; hot(true); event.preventDefault(); } },
    dragover: (event) => { if (carries(event)) event.preventDefault(); },
    dragleave: () => { depth = Math.max(0, depth - 1); if (depth === 0) hot(false); },
    drop: async (event) => {
      if (!carries(event)) return;
      event.preventDefault();
      depth = 0;
      hot(false);
      take(await dropped(event.dataTransfer));
    },
  };
  for (const [name, one] of Object.entries(listeners)) addEventListener(name, one);
  return () => { for (const [name, one] of Object.entries(listeners)) removeEventListener(name, one); };
}

/** Documents on their way, and what has become of all of them. */

import { h, uid } from "../dom.js";
import { bytes, number, percent } from "../format.js";
import { t } from "../i18n/index.js";
import { WORST_FIRST, shape, tone } from "../verdicts.js";
import { lookOf } from "./looks.js";

/** A document that is being hashed or asked about, or was cancelled. */
export function progressRow(job, jobs) {
  const id = uid("progress");
  const cancelled = job.state === "cancelled";
  const bar = h("progress", { id, max: 1, value: job.part });
  const words = h("span", { class: "muted small" }, word(job));
  const row = h("div", { class: "card row", dataset: { state: job.state } },
    h("div", { class: "row-words" },
      h("label", { for: id, class: "row-name" }, job.name),
      h("span", { class: "muted small" }, job.file ? bytes(job.file.size) : job.slip ? "" : t("verify.proof-alone")), words),
    !cancelled && bar,
    !cancelled && h("button", {
      type: "button", class: "button small", dataset: { focus: "cancel" },
      "aria-label": t("verify.cancel.of", { name: job.name }), onclick: () => jobs.cancel(job),
    }, t("verify.cancel")));
  row.moved = (part) => {
    if (row.dataset.state !== "hashing") return false;
    bar.value = part;
    words.textContent = word({ ...job, part });
    return true;
  };
  return row;
}

function word(job) {
  if (job.state === "hashing") return t("verify.state.hashing", { part: percent(job.part) });
  return t(`verify.state.${job.state}`);
}

/** How many there are of each verdict; the worst comes first. */
export function summary(jobs, { clear }) {
  const done = jobs.items.filter((job) => job.state === "done");
  const failed = jobs.items.filter((job) => job.state === "failed").length;
  const counts = WORST_FIRST.map((one) => [one, done.filter((job) => lookOf(job) === one).length]);
  const shown = [["failed", failed], ...counts].filter(([, count]) => count > 0);
  const settled = jobs.items.filter((job) => ["done", "failed", "cancelled"].includes(job.state)).length;
  return h("section", { class: "summary", "aria-label": t("verify.summary") },
    h("div", { class: "summary-head" },
      h("h2", {}, jobs.busy
        ? t("verify.summary.busy", { done: number(settled), all: number(jobs.items.length) })
        : t("verify.summary.done", { count: jobs.items.length })),
      h("span", { class: "summary-tools no-print" },
        !jobs.busy && h("button", { type: "button", class: "button small", onclick: () => print() }, t("verify.print.list")),
        h("button", { type: "button", class: "button small", onclick: clear }, t(jobs.busy ? "verify.cancel.all" : "verify.clear")))),
    h("ul", { class: "counts" }, shown.map(([one, count]) =>
      h("li", { dataset: { tone: tone(one) } }, shape(one, 26),
        h("strong", {}, number(count)), " ", t(`verdict.${one}.title`)))));
}

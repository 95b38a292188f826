/** What only the clerk can say: whether the issuer is the institution that the customer names. */

import { h } from "../dom.js";
import { t } from "../i18n/index.js";
import { shape, tone } from "../verdicts.js";
import { deciding, expected, lookOf } from "./looks.js";

/** Verdicts that a clerk may be about to rely on: then the issuer's name is a question. */
const RELIED_ON = new Set(["valid", "valid-as-of", "attestation-only", "unwitnessed"]);

/** The question, or the answer and the way back to it; null where there is nothing to ask. */
export function question(job, desk) {
  const { verdict } = job.verdict;
  if (job.confirmed) return answered(job, desk);
  if (verdict === "ambiguous") return chooseIssuer(job, desk);
  const one = deciding(job.verdict);
  return RELIED_ON.has(verdict) && one && !expected(job).issuer ? askIssuer(job, one, desk) : null;
}

function askIssuer(job, one, desk) {
  const button = (name, main) => h("button", {
    type: "button", class: `button${main ? " main" : ""}`, dataset: { focus: name },
    onclick: () => desk.answer(job, name, name === "yes" ? one.issuer : null),
  }, t(`question.${name}`));
  return h("div", { class: "question no-print" },
    h("p", { class: "question-words" }, t("question.ask"), h("strong", {}, one.issuer)),
    h("p", { class: "muted small" }, t("question.why")),
    h("div", { class: "question-answers" }, button("yes", true), button("no", false)));
}

/** Several institutions attested the same bytes: the clerk says whose document it is to be. */
function chooseIssuer(job, desk) {
  const names = [...new Set(job.verdict.attestations.map((one) => one.issuer))];
  return h("div", { class: "question no-print" },
    h("p", { class: "question-words" }, t("question.which")),
    h("div", { class: "question-answers" }, names.map((name) => h("button", {
      type: "button", class: "button", onclick: () => desk.answer(job, "yes", name),
    }, name))));
}

function answered(job, desk) {
  const no = job.confirmed === "no";
  const issuer = job.chosen ?? deciding(job.verdict).issuer;
  const good = tone(lookOf(job)) === "good";
  return h("div", { class: "answered", dataset: { tone: no ? "bad" : good ? "good" : "calm" } },
    shape(no ? "other-issuer" : good ? "valid" : "attestation-only", 22),
    h("p", {}, t(no ? "question.no.done" : "question.yes.done", { issuer })),
    h("button", {
      type: "button", class: "button small no-print", dataset: { focus: "change" },
      onclick: () => desk.answer(job, null, null),
    }, t("question.change")));
}

/** One document's verdict: the word, what it means, what to do, and what it rests on. */

import { h, prose } from "../dom.js";
import { bytes, exactly } from "../format.js";
import { language, t } from "../i18n/index.js";
import { problemBox } from "../problem.js";
import { shape, tone } from "../verdicts.js";
import { evidence, otherAttestations } from "./evidence.js";
import { kindName } from "./expect.js";
import { deciding, detail, elsewhere, isGrave, isRead, lookOf, revocation, takenBack, titleOf, values, wordOf } from "./looks.js";
import { pathSection } from "./path.js";
import { question } from "./question.js";

/** Hexadecimal digits of a fingerprint on paper: enough to tell documents apart. */
const SHORT = 16;

export function card(job, desk) {
  if (job.state === "failed") return failure(job);
  const look = lookOf(job);
  const one = deciding(job.verdict);
  const head = h("div", { class: "verdict-head" }, shape(look, job.open ? 72 : 40),
    h("div", { class: "verdict-words" },
      h("p", { class: "verdict-file" }, h("bdi", {}, job.name), " ",
        h("span", { class: "muted" }, job.file ? bytes(job.file.size) : "")),
      heading(job.open ? "h2" : "h3", titleOf(job)),
      job.open ? h("p", { class: "verdict-says" }, t(`verdict.${detail(job, look, one)}.says`, values(job, one))) : brief(job, look, one),
      !(job.open && one) && onPaper(job, one)),
    fold(job, desk));
  return h("article", {
    class: `card verdict${job.open ? " open appear" : ""}`, dataset: { tone: tone(look), verdict: wordOf(job), look },
    "aria-label": `${job.name}: ${titleOf(job)}`,
  }, head, job.open && body(job, look, one, desk));
}

/** It can have the focus, which must go somewhere when the question that had it is answered. */
const heading = (level, words) => h(level, { class: "verdict-title", tabindex: -1, dataset: { focus: "title" } }, words);

/** What a row says below the word. */
function brief(job, look, one) {
  const by = (which, ...words) => h("p", { class: "verdict-by small" },
    [...words, which.issuer ?? which.origin, which.kind && kindName(which.kind)].filter(Boolean).join(" · "));
  return [
    concerned(job, one).map((each) => by(each)),
    look === "elsewhere" && elsewhere(job).filter((other) => !other.revoked).map((other) => by(other, t("others.attested"))),
    takenBack(job, look).map((other) => h("p", { class: "verdict-by taken-back small", dataset: { tone: "bad" } },
      t("verdict.elsewhere.revoked", revocation(other)))),
    job.scanned && h("p", { class: "verdict-by small" }, t("slip.scanned", { name: job.name })),
  ];
}

/** Attestations that the answer is about: one, or those of several institutions. */
function concerned(job, one) {
  if (job.verdict.verdict === "ambiguous") return job.verdict.attestations;
  return one ? [one] : [];
}

/** In a printed list: when it was answered, what was expected, by which entry, about which bytes. */
function onPaper(job, one) {
  const { sha256 } = job.digests ?? job.scanned ?? {};
  const { wanted } = values(job, one);
  const facts = [
    t("verdict.asked-at", { when: exactly(job.verdict.asked_at) }),
    wanted && t("expect.was", { wanted }),
    ...[...concerned(job, one), ...elsewhere(job)].map((each) => [t("fact.place"), " ", h("span", { class: "code" }, `${each.origin}#${each.index}`)]),
    sha256 && ["SHA-256 ", h("span", { class: "code" }, `${sha256.slice(0, SHORT)}…`)],
  ];
  return h("p", { class: "on-paper small" }, facts.filter(Boolean).map((fact, at) => [at > 0 && " · ", fact]));
}

function fold(job, desk) {
  if (desk.jobs.items.length < 2) return null;
  return h("button", {
    type: "button", class: "button small no-print", "aria-expanded": String(job.open), dataset: { focus: "fold" },
    "aria-label": t(job.open ? "verify.less.of" : "verify.more.of", { name: job.name }),
    onclick: () => { job.open = !job.open; desk.redraw(job); },
  }, t(job.open ? "verify.less" : "verify.more"));
}

function body(job, look, one, desk) {
  return h("div", { class: "verdict-body" },
    question(job, desk),
    warnings(job, look),
    slipNotes(job, desk),
    h("div", { class: "advice" }, h("h3", {}, t("verdict.advice")), h("p", {}, prose(advice(job, look, one)))),
    one?.warning && h("div", { class: "problem", dataset: { tone: "warn" } },
      h("strong", {}, t("verdict.warning")),
      job.forked.includes(one.origin) && h("p", {}, t("verdict.warning.fork", values(job, one))), ownWords(one.warning)),
    one && evidence(job, look, one, desk),
    one && isRead(one) && pathSection(job, one, desk),
    otherAttestations(job, look, one),
    h("details", { class: "own-words" }, h("summary", {}, t("verdict.own-words")), ownWords(job.verdict.sentence)),
    h("div", { class: "verdict-foot" },
      h("p", { class: "small muted" }, t("verdict.asked-at", { when: exactly(job.verdict.asked_at) }),
        job.seconds > 1 && job.file && ` · ${t("verdict.hashed", { rate: bytes(job.file.size / job.seconds) })}`),
      h("button", { type: "button", class: "button small no-print", onclick: printOne }, t("verify.print"))));
}

/** That these very bytes were taken back, though not by whom or as what the clerk expects. */
function warnings(job, look) {
  return takenBack(job, look).map((one) => h("div", { class: "problem taken-back", dataset: { tone: "bad" } },
    h("strong", {}, t("verdict.warning")), h("p", {}, t("verdict.elsewhere.revoked", revocation(one)))));
}

function slipNotes(job, desk) {
  const note = (...words) => h("p", { class: "answered note", dataset: { tone: "calm" } }, shape("attestation-only", 22), words);
  const next = desk.jobs.items.length > 1 ? "slip.next.alone" : "slip.next";
  return [
    job.scanned && note(t("slip.scanned", { name: job.name })),
    job.slip && !job.file && note(t(next)),
    job.slip && job.file && h("p", { class: "small muted" }, t("slip.compared")),
    job.unread && note(t("slip.scanned.malformed")),
  ];
}

function advice(job, look, one) {
  const key = takenBack(job, look).some(isGrave) ? "revoked.grave" : detail(job, look, one);
  return t(`verdict.${key}.advice`, values(job, one));
}

/** Print this card alone, whatever else is on the page. */
function printOne(event) {
  const shown = event.currentTarget.closest(".verdict");
  shown.classList.add("printed");
  document.body.classList.add("print-one");
  addEventListener("afterprint", () => {
    shown.classList.remove("printed");
    document.body.classList.remove("print-one");
  }, { once: true });
  print();
}

/** What the gateway says stands in English; readers of other languages are told so. */
const ownWords = (text) => h("p", { lang: language() === "en" ? null : "en" }, text);

function failure(job) {
  return h("article", { class: "card verdict open", dataset: { tone: "bad", verdict: "failed" }, "aria-label": job.name },
    h("div", { class: "verdict-head" }, shape("failed", 56),
      h("div", { class: "verdict-words" },
        h("p", { class: "verdict-file" }, job.name),
        heading("h2", titleOf(job)),
        h("p", { class: "verdict-says" }, t("verdict.failed.says")))),
    h("div", { class: "verdict-body" }, problemBox(known(job.problem))));
}

/** Errors of reading and hashing have codes of their own. */
function known(problem) {
  if ("status" in problem) return problem;
  const codes = { NotReadableError: "unreadable-file", NotFoundError: "unreadable-file" };
  const code = problem.code && typeof problem.code === "string" ? problem.code : codes[problem.message] ?? codes[problem.name];
  return { status: 0, code: code ?? "hashing-failed", message: "", hint: "" };
}

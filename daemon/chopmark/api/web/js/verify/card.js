/** One document's verdict: the word, what it means, what to do, and what it rests on. */

import { h, prose } from "../dom.js";
import { bytes, exactly, list, moment, number } from "../format.js";
import { language, t } from "../i18n/index.js";
import { problemBox } from "../problem.js";
import { shape, tone } from "../verdicts.js";
import { evidence, otherAttestations } from "./evidence.js";
import { kindName } from "./expect.js";
import { deciding, wordOf } from "./jobs.js";
import { pathSection } from "./path.js";

/** Verdicts that a clerk may be about to rely on: then the issuer's name is a question. */
const RELIED_ON = new Set(["valid", "valid-as-of", "attestation-only", "unwitnessed"]);

export function card(job, desk) {
  if (job.state === "failed") return failure(job);
  const word = wordOf(job);
  const one = deciding(job.verdict);
  const head = h("div", { class: "verdict-head" }, shape(word, job.open ? 72 : 40),
    h("div", { class: "verdict-words" },
      h("p", { class: "verdict-file" }, h("bdi", {}, job.name), " ",
        h("span", { class: "muted" }, job.file ? bytes(job.file.size) : "")),
      h(job.open ? "h2" : "h3", { class: "verdict-title" }, title(word, one)),
      !job.open && one && h("p", { class: "verdict-by small" }, [one.issuer ?? one.origin, one.kind && kindName(one.kind)].filter(Boolean).join(" · ")),
      job.open && h("p", { class: "verdict-says" }, says(job, word, one))),
    fold(job, desk));
  return h("article", {
    class: `card verdict${job.open ? " open appear" : ""}`, dataset: { tone: tone(word), verdict: word },
    "aria-label": `${job.name}: ${title(word, one)}`,
  }, head, job.open && body(job, word, one, desk));
}

function title(word, one) {
  const when = one?.as_of ?? null;
  if (word === "valid-as-of") {
    return when ? t("verdict.valid-as-of.when", { when: moment(when) }) : t("verdict.valid-as-of.title");
  }
  return t(`verdict.${word}.title`);
}

function fold(job, desk) {
  if (desk.jobs.items.length < 2) return null;
  return h("button", {
    type: "button", class: "button small no-print", "aria-expanded": String(job.open), dataset: { focus: "fold" },
    "aria-label": t(job.open ? "verify.less.of" : "verify.more.of", { name: job.name }),
    onclick: () => { job.open = !job.open; desk.redraw(job); },
  }, t(job.open ? "verify.less" : "verify.more"));
}

function body(job, word, one, desk) {
  return h("div", { class: "verdict-body" },
    question(job, word, one, desk),
    job.slip && !job.file && h("p", { class: "answered", dataset: { tone: "calm" } }, shape("attestation-only", 22), " ", t("slip.next")),
    job.slip && job.file && h("p", { class: "small muted" }, t("slip.compared")),
    word === "ambiguous" && chooseIssuer(job, desk),
    h("div", { class: "advice" }, h("h3", {}, t("verdict.advice")), h("p", {}, prose(advice(job, word, one)))),
    one?.warning && h("div", { class: "problem", dataset: { tone: "warn" } },
      h("strong", {}, t("verdict.warning")),
      job.forked.includes(one.origin) && h("p", {}, t("verdict.warning.fork", values(job, one))), ownWords(one.warning)),
    one && evidence(job, one, desk),
    one && pathSection(job, one, desk),
    otherAttestations(job, one),
    h("details", { class: "own-words" }, h("summary", {}, t("verdict.own-words")), ownWords(job.verdict.sentence)),
    h("div", { class: "verdict-foot" },
      h("p", { class: "small muted" }, t("verdict.asked-at", { when: exactly(job.verdict.asked_at) }),
        job.seconds > 1 && ` · ${t("verdict.hashed", { rate: bytes(job.file.size / job.seconds) })}`),
      h("button", { type: "button", class: "button small no-print", onclick: printOne }, t("verify.print"))));
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

function says(job, word, one) {
  if (job.confirmed === "no") return t("verdict.other-issuer.says", { issuer: one.issuer });
  const key = `verdict.${detail(job, word, one)}.says`;
  return t(key, values(job, one));
}

function advice(job, word, one) {
  if (job.confirmed === "no") return t("verdict.other-issuer.advice");
  return t(`verdict.${detail(job, word, one)}.advice`, values(job, one));
}

/** Which of the explanations of a word it is. */
function detail(job, word, one) {
  if (word === "mismatch") return mismatch(job, one);
  if (word === "valid-as-of" && !one.as_of) return "valid-as-of.offline";
  if (word === "valid" && one.quorum === "none") return "valid.alone";
  if (word === "revoked" && [1, 4, 5].includes(one.revoked?.reason)) return "revoked.grave";
  if (word === "superseded") {
    const last = one.supersession.at(-1);
    return last && !one.supersession_cut && last.standing !== "live" ? "superseded.gone" : "superseded";
  }
  if (word === "untrusted" && job.forked.includes(one.origin)) return "untrusted.fork";
  if (word === "untrusted" && one.problem === null) return "untrusted.format";
  if (word === "unknown" && job.proofText === null) return job.file ? "unknown" : "unknown.reference";
  return word;
}

function mismatch(job, one) {
  if (one.same_content) return "mismatch.resaved";
  if (job.digests && one.digests_checked.length === 0) return "mismatch.blinded";
  const { issuer, kind } = expected(job);
  const otherIssuer = issuer && ![one.issuer, one.id, one.origin].includes(issuer);
  const otherKind = kind && one.kind !== kind;
  return otherIssuer || otherKind ? "mismatch.expected" : "mismatch";
}

const expected = (job) => ({ issuer: job.verdict.expected?.issuer, kind: job.verdict.expected?.kind });

function values(job, one) {
  if (!one) return {};
  const { issuer, kind } = expected(job);
  const wanted = [issuer, kind && kindName(kind)].filter(Boolean);
  return {
    issuer: one.issuer,
    kind: one.kind ? kindName(one.kind) : "",
    existed: one.existed_by ? moment(one.existed_by) : "",
    asof: one.as_of ? moment(one.as_of) : "",
    until: one.valid_until ? moment(one.valid_until) : "",
    when: one.revoked ? moment(one.revoked.at) : "",
    reason: one.revoked ? t(`reason.${one.revoked.reason}`) : "",
    index: number(one.superseded_by ?? one.index),
    wanted: wanted.length ? list(wanted) : "",
  };
}

/** The issuer's name as a question, where nobody has said whom to expect. */
function question(job, word, one, desk) {
  if (!RELIED_ON.has(job.verdict.verdict) || !one || expected(job).issuer && !job.confirmed) return null;
  if (job.confirmed === "yes") {
    return h("p", { class: "answered", dataset: { tone: "good" } }, shape("valid", 22), " ",
      t("question.yes.done", { issuer: one.issuer }));
  }
  const answer = (confirmed) => {
    Object.assign(job, { confirmed, chosen: confirmed === "yes" ? one.issuer : null });
    if (confirmed === "yes") desk.jobs.ask(desk.app.api, [job]);
    else desk.redraw(job);
  };
  const button = (name, main) => h("button", {
    type: "button", class: `button${main ? " main" : ""}`, dataset: { focus: name },
    "aria-pressed": job.confirmed === name ? "true" : null, onclick: () => answer(name),
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
      type: "button", class: "button", onclick: () => {
        Object.assign(job, { chosen: name, confirmed: "yes" });
        desk.jobs.ask(desk.app.api, [job]);
      },
    }, name))));
}

function failure(job) {
  return h("article", { class: "card verdict open", dataset: { tone: "bad", verdict: "failed" }, "aria-label": job.name },
    h("div", { class: "verdict-head" }, shape("failed", 56),
      h("div", { class: "verdict-words" },
        h("p", { class: "verdict-file" }, job.name),
        h("h2", { class: "verdict-title" }, t("verdict.failed.title")),
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

// One result: the verdict in large words with a shape, what it means, what to do, and the evidence.

import { toHex } from "../core/bytes.js";
import { h } from "../dom.js";
import { isolate } from "../i18n/fill.js";
import { WORST_FIRST, shape, tone } from "../verdicts.js";
import { pathSection } from "./path.js";
import { exactly, kindName, list, number, percent, place, t } from "./words.js";

const LOOKS = { "needs-proof": "unknown", unreadable: "failed", "unread-slip": "failed", failed: "failed" };

/** Where *existed by* is a date to rely on. */
const DATED = new Set(["valid-as-of", "expired"]);

/** Where a result stands among others: what is under way, what failed, then the worst first. */
export const rank = (result) => (result.state === "busy" ? -2 : WORST_FIRST.indexOf(looksOf(result)));

/**
 * A card for a result.
 * @param {import("./desk.js").Result} result
 * @param {import("../core/roster.js").Member[]} members
 * @param {boolean} isFolded whether what follows the sentence is shown on demand only
 * @param {(given: object, confirmed: boolean) => void} say takes what the clerk says of the issuer
 */
export function card(result, members, isFolded, say) {
  if (result.state === "busy") return busyCard(result);
  const looks = looksOf(result);
  const body = result.state === "judged" ? judgedBody(result, members, say) : [advice(result.state, {})];
  const reason = result.given?.error ?? result.document?.error;
  const { title, says, values } = wordsOf(result);
  const shown = h("article", { class: "card verdict open appear", dataset: { tone: tone(looks), word: result.answer?.word ?? result.state } },
    h("div", { class: "verdict-head" },
      shape(looks, 72),
      h("div", { class: "verdict-words" },
        h("p", { class: "verdict-file" }, h("bdi", {}, result.name)),
        h("h2", { class: "verdict-title", tabindex: -1 }, title),
        h("p", { class: "verdict-says" }, says))),
    fold(isFolded, h("div", { class: "verdict-body" },
      reason && problemBox({ code: reason.code || reason.name, message: reason.message }, values, result.given?.isSlip),
      body)));
  return Object.assign(shown, { given: result.given });
}

const looksOf = ({ state, answer, issuer }) => LOOKS[state] ?? (issuer === "asked" ? "undecided" : answer.word);

const fold = (isFolded, body) =>
  isFolded ? h("details", { class: "verdict-fold" }, h("summary", {}, t("details")), body) : body;

function busyCard({ name, document }) {
  const words = h("span", { class: "muted small" }, t("busy", { part: percent(document.part) }));
  const bar = h("progress", { max: 1, value: document.part, "aria-label": isolate(name) });
  const row = h("div", { class: "card row" },
    h("div", { class: "row-words" }, h("span", { class: "row-name" }, h("bdi", {}, name)), words), bar);
  row.show = (part) => {
    bar.value = part;
    words.textContent = t("busy", { part: percent(part) });
  };
  row.document = document;
  return row;
}

/** Title and sentence of a result. */
export function wordsOf(result) {
  const { answer } = result;
  if (answer === null) {
    const { state } = result;
    return { title: t(`state.${state}.title`), says: t(`state.${state}.says`), values: {} };
  }
  const { word, facts } = answer;
  const values = {
    issuer: facts.issuer.institution,
    kind: facts.entry === null ? "" : kindName(facts.entry.kind),
    until: facts.entry?.validUntil == null ? "" : exactly(facts.entry.validUntil),
  };
  const look = looksOf(result);
  const key = `verdict.${look === word ? variantOf(word, facts) : look}`;
  return { title: t(`verdict.${look}.title`), says: t(`${key}.says`, values), values, key };
}

function variantOf(word, { match, quorum, problem }) {
  if (word === "mismatch" && match === "blinded") return "mismatch.blinded";
  if (word === "mismatch" && ["all", "no-document"].includes(match)) return "mismatch.expected";
  if (word === "valid-as-of" && quorum === "none") return "valid-as-of.alone";
  return word === "untrusted" && problem?.code === "unknown-format" ? "untrusted.format" : word;
}

function judgedBody(result, members, say) {
  const { facts, proven } = result.answer;
  const { key, values } = wordsOf(result);
  return [
    question(result, say),
    advice(key, values),
    facts.problem && problemBox(facts.problem, values),
    facts.notaries && warn("notaries", { names: list(facts.notaries.names), count: number(facts.notaries.threshold) }),
    facts.warning && warn(`warning.${facts.warning.code}`, {
      kind: kindName(facts.warning.kind), digest: facts.warning.digest, days: number(facts.warning.days ?? 0),
    }),
    facts.dropped.length > 0 && warn("dropped", { places: list(facts.dropped.map(placesOf)) }),
    facts.issuer.successor && warn("successor", { origin: facts.issuer.successor }),
    facts.entry && evidence(result, members),
    facts.entry && proven && pathSection(proven, facts.match === "all"),
  ];
}

/** Whether the issuer is the institution that the customer names; or the answer, and the way back. */
function question({ issuer, given, answer }, say) {
  if (!issuer) return null;
  const name = answer.facts.issuer.institution;
  const button = (key, confirmed, kind) =>
    h("button", { type: "button", class: `button ${kind}`, onclick: () => say(given, confirmed) }, t(key));
  if (issuer === "answered") {
    return h("div", { class: "answered", dataset: { tone: "good" } }, shape("valid", 22),
      h("p", {}, t("question.yes.done", { issuer: name })), button("question.change", false, "small no-print"));
  }
  return h("div", { class: "question no-print" },
    h("p", { class: "question-words" }, t("question.ask"), h("strong", {}, h("bdi", {}, name))),
    h("p", { class: "muted small" }, t("question.why")),
    h("div", { class: "question-answers" }, button("question.yes", true, "main")));
}

const advice = (key, values) => {
  const name = key.startsWith("verdict.") ? key : `state.${key}`;
  return h("div", { class: "advice" }, h("h3", {}, t("advice")), h("p", {}, t(`${name}.advice`, values)));
};

const problemBox = ({ code, message }, values, isSlip = false) =>
  h("div", { class: "problem" },
    h("strong", {}, t("problem.title")),
    h("p", {}, isSlip ? t(`slip.problem.${code}`, {}, t("slip.problem.malformed-slip")) : t(`problem.${code}`, values, t("problem.other"))),
    h("p", { class: "small muted", lang: "en" }, `${message} (${code})`));

const warn = (key, values) =>
  h("div", { class: "problem", dataset: { tone: "warn" } }, h("strong", {}, t("note")), h("p", {}, t(key, values)));

function evidence(result, members) {
  const { document, now, answer: { facts, proven } } = result;
  const { entry, issuer } = facts;
  const rows = [
    ["issuer", [h("strong", {}, h("bdi", {}, issuer.institution)), ` · ${place(issuer.jurisdiction)}`]],
    ["kind", kindName(entry.kind)],
    ["existed-by", existedBy(facts, looksOf(result))],
    ["made-at", [exactly(entry.madeAt), why("made-at.why")]],
    entry.validUntil !== null && ["valid-until", exactly(entry.validUntil)],
    ["as-of", t("fact.as-of.none")],
    ["witnesses", witnesses(facts, members)],
    ["place", h("span", { class: "code" }, `${issuer.origin}#${facts.index}`)],
    document && ["digests", digests(document.digests, entry)],
    entry.blinded && ["blinded", t("fact.blinded.says")],
    ["checked", [exactly(now), why("checked.why")]],
    proven?.extra.length != null && document === null && ["length", number(proven.extra.length)],
  ];
  return h("section", { class: "evidence" },
    h("h3", {}, t("evidence.title")),
    h("dl", { class: "facts" }, rows.filter(Boolean).map(([name, value]) => [
      h("dt", {}, t(`fact.${name}`)), h("dd", {}, value)])));
}

/** Where there is nothing to rely on, it is no date to rely on either. */
function existedBy({ existedBy: time, quorum }, look) {
  const reason = DATED.has(look) ? "existed-by.why" : "existed-by.only";
  if (time !== null) return [h("strong", {}, exactly(time)), why(reason)];
  return t(`fact.existed-by.${quorum === "none" ? "none" : "missing"}`);
}

/** Who countersigned, by place. */
function witnesses({ witnesses: cosigned, quorum }, members) {
  const byPlace = new Map();
  for (const { name, time } of cosigned) {
    const member = members.find((one) => one.isCosigner(name));
    const where = member === undefined ? name : place(member.jurisdiction);
    const line = h("li", {}, h("bdi", {}, member?.institution ?? name), " ", h("span", { class: "muted small" }, exactly(time)));
    byPlace.set(where, [...(byPlace.get(where) ?? []), line]);
  }
  return [
    byPlace.size > 0 && h("ul", { class: "witnesses" }, [...byPlace].map(([where, lines]) =>
      h("li", {}, h("strong", {}, where), h("ul", {}, lines)))),
    h("p", { class: "small muted" }, t(`fact.quorum.${quorum}`)),
  ];
}

const digests = (given, entry) =>
  Object.entries({ sha256: "SHA-256", sm3: "SM3" })
    .filter(([name]) => given[name])
    .map(([name, title]) => h("p", {},
      h("span", { class: "muted small" }, title, " "),
      h("span", { class: "code" }, toHex(given[name])),
      entry[name] === null && h("span", { class: "muted small" }, " ", t("fact.digests.not-named"))));

const why = (key) => h("p", { class: "small muted" }, t(`fact.${key}`));
const placesOf = (group) => list(group.split("+").map(place));

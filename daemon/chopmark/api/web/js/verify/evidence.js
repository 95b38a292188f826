/** What a verdict rests on, fact by fact. */

import { h, set } from "../dom.js";
import { exactly, list, number, place } from "../format.js";
import { language, t } from "../i18n/index.js";
import { shape, tone } from "../verdicts.js";
import { kindName } from "./expect.js";
import { elsewhere, isRead } from "./looks.js";
import { memberOf } from "./members.js";

/** Where *existed by* is a date to rely on. */
const DATED = new Set(["valid", "valid-as-of", "expired", "superseded"]);

/** The table of facts about the attestation that decided; of several institutions' it says whose. */
export function evidence(job, look, one, desk) {
  const rows = h("dl", { class: "facts" });
  const add = (name, ...value) => {
    const shown = h("dd", {}, value);
    rows.append(h("dt", {}, t(`fact.${name}`)), shown);
    return shown;
  };
  const read = isRead(one);
  add(read ? "issuer" : "issuer.claimed", h("strong", {}, one.issuer), ` · ${place(one.jurisdiction)}`);
  if (one.kind) add("kind", kindName(one.kind), " ", h("span", { class: "code muted" }, one.kind));
  if (read) times(add, look, one);
  if (read) fillWitnesses(add("witnesses", t("loading")), one, desk);
  add("place", h("span", { class: "code" }, `${one.origin}#${one.index}`), " ",
    h("a", { class: "no-print", href: `#/ledger/${encodeURIComponent(one.id)}/${one.index}` }, t("fact.place.open")));
  add("source", t(`fact.source.${one.source}`));
  if (job.digests) add("digests", digests(job, one));
  if (one.problem) add("problem", h("span", { lang: language() === "en" ? null : "en" }, one.problem));
  if (one.successor) add("successor", h("span", { class: "code" }, one.successor));
  const title = look === "ambiguous" ? t("evidence.title.of", { issuer: one.issuer }) : t("evidence.title");
  return h("section", { class: "evidence" }, h("h3", {}, title), rows);
}

/** When it was made, what has become of it since, and up to when that is known. */
function times(add, look, one) {
  const note = (key) => h("p", { class: "small muted" }, t(`fact.${key}`));
  add("existed-by", one.existed_by ? time(one.existed_by) : t(one.quorum === "none" ? "fact.existed-by.none" : "fact.existed-by.missing"),
    one.existed_by && note(DATED.has(look) ? "existed-by.why" : "existed-by.only"));
  if (one.made_at) add("made-at", time(one.made_at), note("made-at.why"));
  if (one.valid_until) add("valid-until", time(one.valid_until));
  if (one.revoked) add("revoked", time(one.revoked.at), ` · ${t(`reason.${one.revoked.reason}`)} · ${t("fact.entry", { index: number(one.revoked.index) })}`);
  if (one.superseded_by !== null) add("superseded", chain(one));
  if (one.anchored) {
    const { block, chain_id: chain } = one.anchored;
    add("anchored", t("fact.anchored.in", { block: number(block), chain }), note("anchored.why"));
  }
  add("as-of", one.as_of ? [time(one.as_of), note(hasLaterNews(one) ? "as-of.later" : "as-of.why")] : t("fact.as-of.none"));
}

/** Whether it tells of something after the time up to which nothing is missing. */
function hasLaterNews({ as_of: asOf, revoked, supersession }) {
  return [revoked?.at, ...supersession.map((link) => link.made_at)].some((at) => at && at > asOf);
}

const time = (text) => h("time", { datetime: text }, exactly(text));

function chain(one) {
  const links = one.supersession.map((link) =>
    `${t("fact.entry", { index: number(link.index) })} (${t(`standing.${link.standing}`)})`);
  return [links.join(" → "), one.supersession_cut && " → …"];
}

/** Who countersigned, by place; institutions, since these are what is counted. */
async function fillWitnesses(target, one, desk) {
  const { members } = await desk.members.catch(() => ({ members: [] }));
  if (one.witnesses.length === 0) {
    target.replaceChildren(t(one.quorum === "none" ? "fact.witnesses.none-needed" : "fact.witnesses.none"));
    return;
  }
  const places = new Map();
  for (const witness of one.witnesses) {
    const member = memberOf(members, witness.name);
    const where = member ? place(member.jurisdiction) : t("fact.witnesses.elsewhere");
    places.set(where, [...(places.get(where) ?? []), { ...witness, who: member?.institution ?? witness.name }]);
  }
  set(target, h("ul", { class: "witnesses" }, [...places].map(([where, some]) =>
    h("li", {}, h("strong", {}, where), h("ul", {}, some.map((witness) =>
      h("li", {}, witness.who, " ", h("span", { class: "muted small" }, time(witness.time)))))))),
  h("p", { class: "small muted" }, t(`fact.quorum.${one.quorum}`)),
  isLater(one) && h("p", { class: "small muted" }, t("fact.witnesses.later")));
}

/**
 * Whether a time stands beside *existed by* that is later. Without a proof the cosignatures are
 * those of the newest head over the entry, and *existed by* is of the first one.
 */
function isLater(one) {
  return one.existed_by !== null && one.witnesses.some(({ time: at }) => at > one.existed_by);
}

function digests(job, one) {
  const names = { sha256: "SHA-256", sm3: "SM3" };
  const compared = one.digests_checked.map((name) => names[name]);
  return [
    Object.entries(job.digests).map(([name, digest]) =>
      h("p", {}, h("span", { class: "muted small" }, `${names[name]} `), h("span", { class: "code" }, digest))),
    h("p", { class: "small muted" }, compared.length ? t("fact.digests.compared", { names: list(compared) }) : t("fact.digests.none")),
  ];
}

/** Other attestations that were found, and those whose bodies were removed here. */
export function otherAttestations(job, look, one) {
  const others = [...job.verdict.attestations.filter((other) => other !== one), ...elsewhere(job)];
  const { pruned } = job.verdict;
  if (others.length + pruned.length === 0) return null;
  return h("section", {}, h("h3", {}, t("others.title")), h("ul", { class: "others" },
    others.map((other) => otherOne(other, look)),
    pruned.map((gone) => h("li", {}, t("others.pruned"), " ", h("span", { class: "code muted small" }, `${gone.origin}#${gone.index}`)))));
}

/** Nothing is green beside a verdict that is not. */
function otherOne(other, look) {
  const held = tone(other.verdict) === "good" && tone(look) !== "good";
  const shown = held ? "undecided" : other.verdict;
  return h("li", { dataset: { tone: tone(shown) } }, shape(shown, 22), " ",
    h("strong", {}, t(held ? "others.attested" : `verdict.${shown}.title`)), " ", [other.issuer, other.revoked && t(`reason.${other.revoked.reason}`)].filter(Boolean).join(" · "), " ",
    h("span", { class: "code muted small" }, `${other.origin}#${other.index}`));
}

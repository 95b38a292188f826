/** What a verdict rests on, fact by fact. */

import { h } from "../dom.js";
import { exactly, list, number, place } from "../format.js";
import { language, t } from "../i18n/index.js";
import { shape, tone } from "../verdicts.js";
import { kindName } from "./expect.js";
import { memberOf } from "./members.js";

/** The table of facts about the attestation that decided. */
export function evidence(job, one, desk) {
  const rows = h("dl", { class: "facts" });
  const add = (name, ...value) => rows.append(h("dt", {}, t(`fact.${name}`)), h("dd", {}, value));
  add("issuer", h("strong", {}, one.issuer), ` · ${place(one.jurisdiction)}`);
  if (one.kind) add("kind", kindName(one.kind), " ", h("span", { class: "code muted" }, one.kind));
  add("existed-by", one.existed_by ? time(one.existed_by) : t(one.quorum === "none" ? "fact.existed-by.none" : "fact.existed-by.missing"),
    one.existed_by && h("p", { class: "small muted" }, t("fact.existed-by.why")));
  if (one.made_at) add("made-at", time(one.made_at), h("p", { class: "small muted" }, t("fact.made-at.why")));
  if (one.valid_until) add("valid-until", time(one.valid_until));
  if (one.revoked) add("revoked", time(one.revoked.at), ` · ${t(`reason.${one.revoked.reason}`)} · ${t("fact.entry", { index: number(one.revoked.index) })}`);
  if (one.superseded_by !== null) add("superseded", chain(one));
  add("as-of", one.as_of ? time(one.as_of) : t("fact.as-of.none"));
  const witnesses = h("dd", {}, t("loading"));
  rows.append(h("dt", {}, t("fact.witnesses")), witnesses);
  fillWitnesses(witnesses, one, desk);
  add("place", h("span", { class: "code" }, `${one.origin}#${one.index}`), " ",
    h("a", { class: "no-print", href: `#/ledger/${encodeURIComponent(one.id)}/${one.index}` }, t("fact.place.open")));
  add("source", t(`fact.source.${one.source}`));
  if (job.digests) add("digests", digests(job, one));
  if (one.problem) add("problem", h("span", { lang: language() === "en" ? null : "en" }, one.problem));
  if (one.successor) add("successor", h("span", { class: "code" }, one.successor));
  return h("section", { class: "evidence" }, h("h3", {}, t("evidence.title")), rows);
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
  target.replaceChildren(h("ul", { class: "witnesses" }, [...places].map(([where, some]) =>
    h("li", {}, h("strong", {}, where), h("ul", {}, some.map((witness) =>
      h("li", {}, witness.who, " ", h("span", { class: "muted small" }, time(witness.time)))))))),
  h("p", { class: "small muted" }, t(`fact.quorum.${one.quorum}`)));
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
export function otherAttestations(job, one) {
  const others = job.verdict.attestations.filter((other) => other !== one);
  const { pruned } = job.verdict;
  if (others.length + pruned.length === 0) return null;
  return h("section", {}, h("h3", {}, t("others.title")), h("ul", { class: "others" },
    others.map((other) => h("li", { dataset: { tone: tone(other.verdict) } }, shape(other.verdict, 22), " ",
      h("strong", {}, t(`verdict.${other.verdict}.title`)), " ", other.issuer, " ",
      h("span", { class: "code muted small" }, `${other.origin}#${other.index}`))),
    pruned.map((gone) => h("li", {}, t("others.pruned"), " ", h("span", { class: "code muted small" }, `${gone.origin}#${gone.index}`)))));
}

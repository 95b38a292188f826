// What is sealed into this file: who made it, of which roster, until when it may be used; and why it
// must not be used, if so.

import { openSeal } from "../core/offline.js";
import { h } from "../dom.js";
import { day, exactly, number, t } from "./words.js";

/** Ms by which a computer's clock may be behind that of the gateway that made this file. */
const SLACK = 86_400_000n;
const NOTICE = 30n * 86_400_000n;

/**
 * Open what `chopmark export-verifier` wrote.
 * @param {string} text JSON
 * @returns {ReturnType<typeof openSeal> & {about: object, madeAt: bigint}}
 * @throws {Error} if it is damaged
 */
export function readSeal(text) {
  const about = JSON.parse(text);
  return { ...openSeal(about), about, madeAt: BigInt(Date.parse(about.made_at)) };
}

/** Why this file must not be used now: `expired`, `clock`, or null. */
export function refusal({ roster, madeAt }, now) {
  if (now > roster.expires) return "expired";
  return now < madeAt - SLACK ? "clock" : null;
}

/** What the file is, for its reader. */
export function sealPanel({ roster, fingerprint, about, madeAt }, now) {
  const { institution, id } = about.gateway;
  const rows = [
    ["made-by", [h("strong", {}, h("bdi", {}, institution)), " ", h("span", { class: "muted" }, id)]],
    ["made-at", `${exactly(madeAt)} (chopmark ${about.version})`],
    ["roster", t("seal.version", { version: number(roster.version) })],
    ["words", h("span", { class: "code words" }, fingerprint.words)],
    ["expires", day(roster.expires)],
  ];
  return h("section", { class: "card seal", "aria-label": t("seal.title") },
    h("h2", {}, t("seal.title")),
    h("p", {}, h("strong", {}, t("seal.own"))),
    h("dl", { class: "facts" }, rows.map(([name, value]) => [h("dt", {}, t(`seal.${name}`)), h("dd", {}, value)])),
    h("p", { class: "muted small" }, t("seal.compare")),
    now > roster.expires - NOTICE && now <= roster.expires && h("div", { class: "problem", dataset: { tone: "warn" } },
      h("strong", {}, t("note")), h("p", {}, t("seal.soon", { when: day(roster.expires) }))));
}

/** The page's only content where it must not be used. */
export function refusalPanel(why, seal) {
  const values = seal === null ? {} : { when: day(seal.roster.expires), made: exactly(seal.madeAt) };
  return h("div", { class: "problem refusal", role: "alert", dataset: { why } },
    h("strong", {}, t(`refused.${why}.title`)),
    h("p", {}, t(`refused.${why}.says`, values)),
    h("p", {}, t("refused.advice")));
}

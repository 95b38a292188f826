/** Entries as a table. */

import { h } from "../dom.js";
import { number, shortly } from "../format.js";
import { has, t } from "../i18n/index.js";
import { kindName } from "../verify/expect.js";

/**
 * @param {object[]} entries as `GET /v1/ledger` or `GET /v1/documents/…` has them
 * @param {{everywhere: boolean, id: string}} how whether they are of several logs, or of which one
 */
export function entryTable(entries, { everywhere, id }) {
  const columns = [everywhere && "log", "index", "type", "what", "made-at"].filter(Boolean);
  return h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": t("ledger.entries") },
    h("table", { class: "entries" }, h("caption", { class: "unseen" }, t("ledger.entries")),
      h("thead", {}, h("tr", {}, columns.map((name) => h("th", { scope: "col", class: name === "index" ? "number" : null }, t(`ledger.${name}`))))),
      h("tbody", {}, entries.map((one) => h("tr", {},
        everywhere && h("td", {}, h("bdi", {}, one.institution)),
        h("td", { class: "number" }, h("a", { href: `#/ledger/${encodeURIComponent(one.id ?? id)}/${one.index}` }, number(one.index))),
        h("td", { class: "type" }, typeName(one.type)),
        h("td", {}, gist(one)),
        h("td", {}, one.made_at ? h("time", { datetime: one.made_at }, shortly(one.made_at)) : ""))))));
}

/** A type of entry in the reader's words. */
export const typeName = (type) => (has(`type.${type}`) ? t(`type.${type}`) : type);

/** What an entry says, in a line. */
function gist(one) {
  if (one.type === "revocation") return t("ledger.revokes", { index: number(one.revokes), reason: t(`reason.${one.reason}`) });
  if (one.type !== "attestation") return "";
  return [
    kindName(one.kind), " ",
    one.blinded && h("span", { class: "tag" }, t("ledger.blinded")),
    one.supersedes !== null && one.supersedes !== undefined && h("span", { class: "tag" }, t("ledger.supersedes", { index: number(one.supersedes) })),
    one.state && one.state !== "live" && h("span", { class: "tag" }, has(`standing.${one.state}`) ? t(`standing.${one.state}`) : one.state),
    one.digests?.sha256 && h("span", { class: "code muted small entry-digest" }, one.digests.sha256),
  ];
}

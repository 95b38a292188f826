/** One entry's life: what it says, and what has become of it. */

import { query } from "../api.js";
import { h } from "../dom.js";
import { exactly, number, place } from "../format.js";
import { t } from "../i18n/index.js";
import { ownWords } from "../problem.js";
import { shape, tone } from "../verdicts.js";
import { kindName } from "../verify/expect.js";
import { memberOf } from "../verify/members.js";
import { pathSection } from "../verify/path.js";
import { typeName } from "./table.js";

/** Everything about one entry of one log. */
export async function entryLife(app, members, id, index, signal) {
  const member = members.find((one) => one.id === id);
  const page = await app.api.get(`/v1/entries${query({ id, after: index - 1, limit: 1 })}`, { signal });
  const entry = page.entries[0];
  const back = h("p", {}, h("a", { href: `#/ledger/${encodeURIComponent(id)}` }, `← ${t("ledger.back")}`));
  const title = h("div", { class: "head" }, h("h1", {}, t("life.title", { index: number(index) })),
    h("p", {}, h("bdi", {}, member.institution), ` · ${place(member.jurisdiction)}`), h("p", { class: "code small muted" }, `${member.origin}#${index}`));
  if (!entry) return [back, title, h("p", {}, t("problem.no-such-entry"))];
  const judged = entry.type === "attestation" ? await judge(app, member, index, signal) : null;
  const job = { digests: null, proofText: null, name: "" };
  return [
    back, title,
    h("section", { class: "card" }, h("h2", {}, t("life.events")), h("ol", { class: "life" }, events(entry, judged, members, member))),
    h("section", { class: "card" }, h("h2", {}, t("life.says")), facts(entry), pathSection(job, { id, index }, { app })),
  ];
}

/** What the gateway knows of an attestation, without a document: how it stands, who cosigned. */
async function judge(app, member, index, signal) {
  const body = { reference: `${member.origin}#${index}` };
  const verdict = await app.api.post("/v1/verifications", body, { signal }).catch((error) => {
    if (error.name === "AbortError") throw error;
    return null; // who may look at a ledger need not be a verifier
  });
  return verdict?.attestations.find((one) => one.index === index && one.origin === member.origin) ?? null;
}

/** In the order of time. */
function events(entry, judged, members, member) {
  const link = (index) => h("a", { href: `#/ledger/${encodeURIComponent(member.id)}/${index}` }, t("fact.entry", { index: number(index) }));
  const event = (word, name, time, ...more) => h("li", { dataset: { tone: tone(word) } }, shape(word, 28),
    h("div", {}, h("h3", {}, t(`life.${name}`)), time && h("time", { class: "muted small", datetime: time }, exactly(time)), more));
  const found = [event("valid", entry.type === "attestation" ? "attested" : "recorded", entry.made_at,
    entry.type === "revocation" && h("p", {}, t("life.revokes"), " ", link(entry.revokes)),
    entry.supersedes !== null && h("p", {}, t("life.supersedes"), " ", link(entry.supersedes)))];
  found.push(event("valid", "signed", null, h("p", { class: "muted small" }, t("life.signed.says"))));
  if (!judged) return found;
  if (judged.quorum === "missing") found.push(event("unwitnessed", "unwitnessed", null));
  else if (judged.quorum === "reached") {
    found.push(event("valid", "witnessed", judged.existed_by, h("ul", {}, judged.witnesses.map((one) =>
      h("li", {}, h("bdi", {}, memberOf(members, one.name)?.institution ?? one.name), " ", h("span", { class: "muted small" }, exactly(one.time)))))));
  } else found.push(event("unknown", "alone", null));
  if (judged.superseded_by !== null) found.push(event("superseded", "superseded", judged.supersession[0]?.made_at, h("p", {}, link(judged.superseded_by))));
  if (judged.revoked) found.push(event("revoked", "revoked", judged.revoked.at, h("p", {}, t(`reason.${judged.revoked.reason}`), " · ", link(judged.revoked.index))));
  if (judged.valid_until) found.push(event(new Date(judged.valid_until) < new Date() ? "expired" : "valid-as-of", "valid-until", judged.valid_until));
  if (judged.problem) found.push(event("untrusted", "untrusted", null, ownWords([judged.problem])));
  return found;
}

function facts(entry) {
  const rows = [
    ["type", typeName(entry.type)],
    ["kind", entry.kind && kindName(entry.kind)],
    ["blinded", entry.blinded && t("life.blinded.yes")],
    ["sha256", entry.digests?.sha256], ["sm3", entry.digests?.sm3],
    ...Object.entries(entry.digests?.canonical ?? {}),
    ["valid-until", entry.valid_until && exactly(entry.valid_until)],
    ["hash", entry.hash], ["raw", entry.raw],
  ];
  const coded = new Set(["sha256", "sm3", "hash", "raw"]);
  return h("dl", { class: "facts" }, rows.filter(([, value]) => value).map(([name, value]) => [
    h("dt", {}, t(`life.fact.${name}`, {}, name)),
    h("dd", { class: coded.has(name) || name.includes("/") ? "code" : null }, value),
  ]));
}

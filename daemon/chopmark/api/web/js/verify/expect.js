/** What the clerk expects: which institution, which kind of document. */

import { h, uid } from "../dom.js";
import { has, t } from "../i18n/index.js";

/** A kind in the reader's words, with its own name where there are none. */
export const kindName = (kind) => (has(`kind.${kind}`) ? t(`kind.${kind}`) : kind);

/** Below a choice whose list could not be loaded. */
export const noList = () => h("p", { class: "small", role: "alert" }, t("expect.no-list"));

/** Two choices and a box to tick; whatever changes, the gateway is asked again. */
export function expectations({ app, jobs, members }) {
  const again = () => {
    for (const job of jobs.items) Object.assign(job, { chosen: null, confirmed: null });
    jobs.ask(app.api);
  };
  const issuer = choice("issuer", t("expect.issuer"), t("expect.issuer.any"), (value) => {
    jobs.expect.issuer = value;
    again();
  });
  const kind = choice("kind", t("expect.kind"), t("expect.kind.any"), (value) => {
    jobs.expect.kind = value;
    again();
  });
  members.then(({ members: all, kinds }) => {
    const institutions = [...new Set(all.map((one) => one.institution))].sort();
    fill(issuer.select, institutions.map((name) => [name, name]), jobs.expect.issuer);
    fill(kind.select, kinds.map((name) => [name, kindName(name)]), jobs.expect.kind);
  }, () => {
    for (const { field } of [issuer, kind]) field.append(noList());
  });
  const sm3 = h("input", { type: "checkbox", id: uid("sm3"), checked: jobs.withSm3 });
  sm3.addEventListener("change", () => { jobs.withSm3 = sm3.checked; });
  return h("section", { class: "expect", "aria-label": t("expect.label") },
    issuer.field, kind.field,
    h("div", { class: "check small" }, sm3, h("label", { for: sm3.id }, t("expect.sm3"))));
}

function choice(name, label, none, changed) {
  const id = uid(name);
  const select = h("select", { id, onchange: () => changed(select.value) }, h("option", { value: "" }, none));
  return { select, field: h("div", { class: "field" }, h("label", { for: id }, label), select) };
}

function fill(select, options, chosen) {
  for (const [value, text] of options) {
    select.append(h("option", { value, selected: value === chosen }, text));
  }
}

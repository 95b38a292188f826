/** Alarms: what is wrong in the reader's words, what to do, and the gateway's particulars. */

import { h, prose } from "../dom.js";
import { has, language, t } from "../i18n/index.js";

export function alarmList(status) {
  const { alarms, reasons, ready } = status;
  if (alarms.length === 0 && ready) return null;
  const foreign = language() === "en" ? null : "en";
  return h("section", { class: "alarms", "aria-label": t("alarms.title") },
    h("h2", {}, t("alarms.title")),
    !ready && reasons.map((reason) => h("div", { class: "problem" }, h("strong", {}, t("alarms.not-ready")), h("span", { lang: foreign }, reason))),
    alarms.map((alarm) => h("div", { class: "problem" },
      h("strong", {}, has(`alarm.${alarm.code}`) ? t(`alarm.${alarm.code}`) : alarm.code),
      has(`alarm.${alarm.code}.do`) && h("p", {}, prose(t(`alarm.${alarm.code}.do`))),
      h("span", { class: "small muted", lang: foreign }, `${alarm.message}${alarm.hint ? ` · ${alarm.hint}` : ""}`))));
}

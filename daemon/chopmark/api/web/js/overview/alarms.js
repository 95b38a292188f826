/** Alarms: what is wrong in the reader's words, what to do, and the gateway's particulars. */

import { h, prose } from "../dom.js";
import { has, t } from "../i18n/index.js";
import { ownWords } from "../problem.js";

export function alarmList(status) {
  const { ready } = status;
  const own = troubles(status);
  const alarms = [...own.filter(({ code }) => !status.alarms.some((one) => one.code === code)), ...status.alarms];
  // What the HSM's own words repeat is said once.
  const reasons = status.reasons.filter((one) => one !== `HSM ${status.hsm.state}: ${status.hsm.reason}`);
  if (alarms.length === 0 && ready) return null;
  return h("section", { class: "alarms", "aria-label": t("alarms.title") },
    h("h2", {}, t("alarms.title")),
    !ready && reasons.length > 0 && h("div", { class: "problem" }, h("strong", {}, t("alarms.not-ready")), ownWords(reasons)),
    alarms.map((alarm) => h("div", { class: "problem" },
      h("strong", {}, has(`alarm.${alarm.code}`) ? t(`alarm.${alarm.code}`) : alarm.code),
      has(`alarm.${alarm.code}.do`) && h("p", {}, prose(t(`alarm.${alarm.code}.do`))),
      ownWords([alarm.message, alarm.hint], alarm.code))));
}

/**
 * What needs care though it is no alarm of the gateway's: an HSM that is away becomes one after a
 * while only, and a start, a broker or an index never.
 */
function troubles({ hsm, brokers, index, standing }) {
  const away = brokers.filter((one) => one.state !== "connected");
  const names = Object.entries(index).filter(([, one]) => one.state !== "ready").map(([name]) => name);
  return [
    hsm.state !== "ready" && { code: `hsm-${hsm.state}`, message: hsm.reason, hint: hsm.hint },
    standing.state === "confirming" && { code: "confirming", message: standing.reason },
    away.length > 0 && away.length === brokers.length && { code: "broker-away", message: away.map((one) => `${one.host}:${one.port} ${one.reason ?? ""}`).join(", ") },
    names.length > 0 && { code: "index-rebuilding", message: names.join(", ") },
  ].filter(Boolean);
}

/** What of it a reader would notice. */
export const alarmKey = (status) => [status.alarms, status.reasons, troubles(status)];

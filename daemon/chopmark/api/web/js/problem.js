/** A refusal of the gateway, in the reader's words where there are such, and in its own. */

import { h } from "./dom.js";
import { language, t } from "./i18n/index.js";

/** The box that shows a problem. */
export function problemBox(problem) {
  const title = t(`problem.${problem.code}`, {}, "") || t("problem.other");
  const own = problem.status ? problem.message : "";
  return h("div", { class: "problem", role: "alert" },
    h("strong", {}, title),
    own && h("span", { lang: language() === "en" ? null : "en" }, own),
    problem.hint && h("span", { class: "muted", lang: language() === "en" ? null : "en" }, problem.hint));
}

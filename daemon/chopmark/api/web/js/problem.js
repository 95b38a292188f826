/** A refusal of the gateway, in the reader's words; what it says itself is for who wants to know. */

import { h, prose } from "./dom.js";
import { language, t } from "./i18n/index.js";

/** The box that shows a problem. Its words go by the code: docs/api.md, "Problems". */
export function problemBox(problem) {
  const { status, code, message, hint } = problem;
  return h("div", { class: "problem", role: "alert" },
    h("strong", {}, t(`problem.${code}`, {}, "") || t("problem.other")),
    status > 0 && ownWords([message, hint], code));
}

/**
 * What the gateway says of a matter, in English always: it names what the words of the page cannot
 * know. Open where that is the reader's language.
 * @param {(string | null | undefined)[]} sentences
 * @param {string} [code] by which it is found in the documentation
 */
export function ownWords(sentences, code = "") {
  const said = sentences.filter(Boolean);
  if (said.length === 0) return null;
  return h("details", { class: "own-words small", open: language() === "en" },
    h("summary", {}, t("verdict.own-words")),
    h("p", { class: "muted", lang: "en" }, prose(said.join(" · ")), code && ` (${code})`));
}

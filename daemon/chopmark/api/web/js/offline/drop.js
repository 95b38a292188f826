// Where files are dropped or chosen; slips apart, since a picture may as well be a document.

import { h } from "../dom.js";
import { t } from "./words.js";

/**
 * @param {(files: File[], how?: {areSlips: boolean}) => void} take
 */
export function dropZone(take) {
  const files = chooser("files", {}, (chosen) => take(chosen));
  const slips = chooser("slips", { accept: "image/*,.pdf,.txt" }, (chosen) => take(chosen, { areSlips: true }));
  return h("section", { class: "drop", "aria-label": t("drop.label") },
    h("div", { class: "drop-words" },
      h("p", { class: "drop-lead" }, t("drop.lead")),
      h("p", { class: "muted" }, t("drop.proof"))),
    h("div", { class: "drop-ways" },
      files, h("label", { for: "files", class: "button main" }, t("drop.choose")),
      slips, h("label", { for: "slips", class: "button" }, t("slip.read"))),
    h("p", { class: "small muted" }, t("slip.says", { button: t("slip.read") })));
}

function chooser(id, attributes, chosen) {
  const onchange = ({ target }) => {
    chosen([...target.files]);
    target.value = ""; // or the same file, chosen again, would be no change
  };
  return h("input", { ...attributes, type: "file", multiple: true, class: "unseen", id, onchange });
}

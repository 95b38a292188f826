import { h } from "../dom.js"; import { t } from "../i18n/index.js";
export function mount(root) { root.replaceChildren(h("h1", {}, t("way.attest"))); }

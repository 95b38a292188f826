/** What the gateway shows to some only: said in words, and where to sign in if that would help. */

import { h } from "../dom.js";
import { t } from "../i18n/index.js";

/** Stands for what was refused: `closed` is the status, 401 for who is not signed in. */
export function refusal(error) {
  if (error.name === "AbortError") throw error;
  return [401, 403].includes(error.status) ? { closed: error.status } : null;
}

/** In place of what `name` would show. */
export function closed(name, { closed: status }) {
  return h("p", { class: "closed muted" }, t(`closed.${name}`), " ",
    status === 401 ? h("a", { href: "#/signin" }, t("way.signin")) : t("closed.role"));
}

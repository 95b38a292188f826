/** In place of a view that is not for who asks: which role it takes, and who gives that. */

import { h, prose, set } from "./dom.js";
import { t } from "./i18n/index.js";

/** A view as those that `main.js` loads. @param {string} name of the view that is not shown */
export const denied = (name) => ({
  mount(root, { session: { who } }) {
    set(root, h("div", { class: "head" }, h("h1", {}, t(`${name}.title`))),
      h("section", { class: "card denied" },
        h("p", {}, h("strong", {}, prose(t(`denied.${name}`)))),
        h("p", {}, t("denied.ask", { name: who.name }))));
  },
});

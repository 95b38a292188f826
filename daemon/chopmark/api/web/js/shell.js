/** What stands around each view: name, ways, language, theme. */

import { h, keep, s, set } from "./dom.js";
import { LANGUAGES, language, t } from "./i18n/index.js";

/** Say something to who does not see the page. */
export function announce(text) {
  const place = document.getElementById("announce");
  place.textContent = "";
  setTimeout(() => { place.textContent = text; }, 50);
}

/**
 * Draw the frame.
 * @param {object} app
 * @param {{names: string[], relearn: (tag: string) => void}} how
 */
export function openShell(app, { names, relearn }) {
  const top = document.getElementById("top");
  let current = "";

  const way = (name) =>
    h("a", { href: `#/${name}`, "aria-current": name === current ? "page" : null }, t(`way.${name}`));

  function draw() {
    document.getElementById("skip").textContent = t("shell.skip");
    const house = app.session.house;
    set(
      top,
      h("div", { class: "top-inner" },
        h("a", { class: "brand", href: "#/verify" },
          h("img", { src: "/page/style/mark.svg", alt: "" }),
          h("span", {},
            h("span", { class: "brand-name" }, "chopmark"),
            house && h("span", { class: "brand-house" }, h("br"), house.institution))),
        h("nav", { "aria-label": t("shell.ways") }, h("div", { class: "ways" }, names.map(way))),
        h("div", { class: "tools" }, languageChoice(relearn), themeSwitch())),
    );
    const foot = house ? `${house.id} · ${house.origin} · ${t("shell.version", { version: house.version })}` : "";
    set(document.getElementById("foot"),
      h("div", { class: "foot-inner" }, h("span", {}, t("shell.promise")), h("span", { class: "code" }, foot)));
    title();
  }

  function title() {
    document.title = current ? `${t(`way.${current}`)} · chopmark` : "chopmark";
  }

  function mark(name) {
    current = name;
    for (const link of top.querySelectorAll(".ways a")) {
      if (link.getAttribute("href") === `#/${name}`) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    title();
  }

  draw();
  app.api.get("/v1/status").then((status) => {
    app.session.house = status;
    draw();
  }, () => { /* the views say what is wrong */ });
  return { draw, mark };
}

function languageChoice(relearn) {
  const options = Object.entries(LANGUAGES).map(([tag, name]) =>
    h("option", { value: tag, lang: tag, selected: tag === language() }, name));
  return h("select", {
    "aria-label": t("shell.language"),
    id: "language",
    onchange: async (event) => {
      await relearn(event.target.value);
      document.getElementById("language").focus();
    },
  }, options);
}

function themeSwitch() {
  const root = document.documentElement;
  const label = () => t(root.dataset.theme === "dark" ? "shell.light" : "shell.dark");
  const button = h("button", { type: "button", "aria-label": label(), title: label() },
    s("svg", { width: 18, height: 18, viewBox: "0 0 18 18", "aria-hidden": "true" },
      s("circle", { cx: 9, cy: 9, r: 7, fill: "none", stroke: "currentColor", "stroke-width": 1.6 }),
      s("path", { d: "M9 2a7 7 0 0 1 0 14z", fill: "currentColor" })));
  button.addEventListener("click", () => {
    root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
    keep("theme", root.dataset.theme);
    button.setAttribute("aria-label", label());
    button.title = label();
  });
  return button;
}

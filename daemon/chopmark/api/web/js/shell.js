/** What stands around each view: name, ways, language, theme. */

import { h, keep, s, set } from "./dom.js";
import { LANGUAGES, language, t } from "./i18n/index.js";

/** Say something to who does not see the page. */
export function announce(text) {
  const place = document.getElementById("announce");
  place.textContent = "";
  setTimeout(() => { place.textContent = text; }, 50);
}

/** Views that the frame names, with the roles of which any will do. */
const WAYS = {
  verify: ["verifier"],
  scenario: ["issuer"],
  trace: ["verifier"],
  overview: ["verifier", "issuer", "auditor", "operator"],
  ledger: ["verifier", "auditor"],
  attest: ["issuer"],
};

/**
 * Whether a view is for who asks; yes as long as that is not known, and for who is not signed in: the
 * gateway's refusal leads there.
 * @param {{signed_in: boolean, roles: string[]} | null} who as `GET /v1/session` says
 * @param {string} name of the view
 */
export function mayUse(who, name) {
  const needed = WAYS[name];
  return !needed || !who?.signed_in || needed.some((role) => who.roles.includes(role));
}

/**
 * Draw the frame.
 * @param {object} app
 * @param {{relearn: (tag: string) => void}} how
 */
export function openShell(app, { relearn }) {
  const top = document.getElementById("top");
  let current = "";

  /** What the caller may use; everything, until that is known. */
  function names() {
    const roles = app.session.who?.roles;
    const open = Object.keys(WAYS).filter((name) => !roles || WAYS[name].some((role) => roles.includes(role)));
    return open.length ? open : ["verify"];
  }

  /** Who is signed in, or where to; nothing where nobody signs in. */
  function signing() {
    const { who } = app.session;
    if (!who || (!who.signed_in && !who.methods?.length) || who.by === "loopback") return null;
    return h("a", { class: "signing", href: "#/signin", "aria-current": current === "signin" ? "page" : null }, who.signed_in ? h("bdi", {}, who.name) : t("way.signin"));
  }

  const way = (name) =>
    h("a", { href: `#/${name}`, "aria-current": name === current ? "page" : null }, t(`way.${name}`));

  function draw() {
    document.getElementById("skip").textContent = t("shell.skip");
    const house = app.session.house;
    const focused = top.contains(document.activeElement) ? document.activeElement : null;
    set(
      top,
      h("div", { class: "top-inner" },
        h("a", { class: "brand", href: "#/verify" },
          h("img", { src: "/page/style/mark.svg", alt: "" }),
          h("span", {},
            h("span", { class: "brand-name" }, "chopmark"),
            house && h("span", { class: "brand-house" }, h("br"), h("bdi", {}, house.institution)))),
        h("nav", { "aria-label": t("shell.ways") }, h("div", { class: "ways" }, names().map(way))),
        h("div", { class: "tools" }, signing(), languageChoice(relearn), themeSwitch())),
    );
    const foot = house ? `${house.id} · ${house.origin} · ${t("shell.version", { version: house.version })}` : "";
    set(document.getElementById("foot"),
      h("div", { class: "foot-inner" }, h("span", {}, t("shell.promise")), h("span", { class: "code" }, foot)));
    title();
    if (focused) top.querySelector(focused.id ? `#${focused.id}` : `[href="${focused.getAttribute("href")}"]`)?.focus();
  }

  function title() {
    document.title = current ? `${t(`way.${current}`)} · chopmark` : "chopmark";
  }

  function mark(name) {
    current = name;
    for (const link of top.querySelectorAll(".ways a, .signing")) {
      if (link.getAttribute("href") === `#/${name}`) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    title();
  }

  /** Say whose gateway it is, once that may be known. */
  function greet() {
    app.api.get("/v1/status").then((house) => {
      app.session.house = house;
      draw();
    }, () => { /* the views say what is wrong */ });
  }

  draw();
  greet();
  return { draw, mark, greet };
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

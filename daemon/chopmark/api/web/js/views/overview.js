/** Overview: whether all is well, what is not, and what the others hold of us. */

import { h, set } from "../dom.js";
import { shortly, zone } from "../format.js";
import { t } from "../i18n/index.js";
import { alarmKey, alarmList } from "../overview/alarms.js";
import { charts } from "../overview/charts.js";
import { closed, refusal } from "../overview/closed.js";
import { meshSection, readHeads } from "../overview/mesh.js";
import { parts } from "../overview/parts.js";
import { problemBox } from "../problem.js";
import { BACKGROUND } from "../session.js";
import { announce } from "../shell.js";
import { shape } from "../verdicts.js";

/** Milliseconds between two looks. */
const PAUSE = 5000;

export function mount(root, app) {
  const place = Object.fromEntries(["state", "alarms", "parts", "rates", "mesh"].map((name) => [name, h("div", { class: `overview-${name}` })]));
  set(root,
    h("div", { class: "head" }, h("h1", {}, t("overview.title"))),
    h("div", { class: "overview" }, Object.values(place), h("p", { class: "small muted overview-when" })));
  const drawn = new Map();
  const stop = new AbortController();
  let timer = 0;
  let said = "";

  /** Draw what has changed only: what somebody reads, or has a finger on, stays. */
  function draw(name, data, make) {
    const now = JSON.stringify(data);
    if (drawn.get(name) === now) return;
    drawn.set(name, now);
    set(place[name], make());
  }

  async function look() {
    const options = { signal: stop.signal, headers: BACKGROUND };
    const status = await app.api.get("/v1/status", options);
    // Who may not ask for these, a guest for instance, is told so, and sees the rest.
    const [rates, heads] = await Promise.all([
      app.api.get("/v1/rates", { ...options, quiet: true }).catch(refusal),
      readHeads(app.api, [status, ...status.peers], { ...options, quiet: true }),
    ]);
    const standing = standingOf(status);
    draw("state", standing, () => banner(standing));
    draw("alarms", alarmKey(status), () => alarmList(status));
    draw("parts", partsKey(status), () => parts(status));
    draw("rates", rates, () => rates && ratesSection(rates));
    draw("mesh", meshKey(status, heads), () => meshSection(status, heads));
    root.querySelector(".overview-when").textContent = t("overview.as-of", { when: shortly(status.clock.now), zone: zone() });
    if (said && said !== standing) announce(t(`overview.${standing}.title`));
    said = standing;
  }

  async function go() {
    try {
      if (!document.hidden) await look();
    } catch (error) {
      if (error.name === "AbortError") return;
      drawn.clear();
      set(place.state, problemBox(error));
    }
    if (!stop.signal.aborted) timer = setTimeout(go, PAUSE);
  }

  go();
  return () => {
    stop.abort();
    clearTimeout(timer);
  };
}

function ratesSection(rates) {
  return rates.closed ? h("section", { class: "card" }, h("h2", {}, t("rates.title")), closed("rates", rates)) : charts(rates);
}

function standingOf(status) {
  if (!status.ready) return "down";
  return status.alarms.length || status.state !== "ready" ? "care" : "well";
}

const LOOK = { well: "valid", care: "unwitnessed", down: "failed" };
const TONE = { well: "good", care: "warn", down: "bad" };

function banner(standing) {
  return h("section", { class: "card banner", dataset: { tone: TONE[standing] } }, shape(LOOK[standing], 52),
    h("div", {}, h("h2", {}, t(`overview.${standing}.title`)), h("p", {}, t(`overview.${standing}.says`))));
}

/** What the parts show; ages in it are in steps that a reader would notice. */
function partsKey(status) {
  const { hsm, clock, storage } = status;
  return [
    hsm.state, hsm.reason, Math.round(hsm.mean_ms), Math.round((hsm.last_good_seconds ?? 0) / 30), clock.state, clock.offsets,
    status.brokers, status.size, status.witnessed, Math.round(storage.used * 1000), storage.state, status.roster.version,
    status.roster.expires, status.standing, status.intake,
  ];
}

function meshKey(status, heads) {
  return [heads, status.size, status.peers.map((one) => [one.id, one.online, one.state, one.size, one.missing, one.as_of, one.membership])];
}

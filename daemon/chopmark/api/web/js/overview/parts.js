/** The gateway's parts, each with a word on how it is. */

import { h } from "../dom.js";
import { ago, bytes, number, percent, shortly } from "../format.js";
import { has, t } from "../i18n/index.js";
import { ownWords } from "../problem.js";
import { shape } from "../verdicts.js";

const SHAPES = { good: "valid", warn: "unwitnessed", bad: "failed", calm: "unknown" };

export function parts(status) {
  return h("section", { "aria-label": t("parts.title") }, h("h2", { class: "unseen" }, t("parts.title")),
    h("ul", { class: "parts" }, [hsm, clock, broker, ledger, disk, roster].map((make) => item(make(status)))));
}

function item({ name, tone, state, lines, own }) {
  return h("li", { class: "card part", dataset: { tone } },
    h("h3", {}, t(`part.${name}`)),
    h("p", { class: "part-state" }, shape(SHAPES[tone], 22), " ", state),
    lines.filter(Boolean).map((line) => h("p", { class: "small muted" }, line)),
    ownWords([own]));
}

const named = (prefix, state) => (has(`${prefix}.${state}`) ? t(`${prefix}.${state}`) : state);

function hsm({ hsm: one }) {
  const tone = one.state === "ready" ? "good" : one.state === "maintenance" ? "warn" : "bad";
  return {
    name: "hsm", tone, state: named("hsm", one.state), own: one.reason,
    lines: [
      one.token, one.mean_ms && t("hsm.mean", { ms: number(one.mean_ms, { maximumFractionDigits: 1 }) }),
      one.last_good_seconds !== null && t("hsm.last", { ago: ago(one.last_good_seconds) }),
      one.warning && t("hsm.software"),
    ],
  };
}

function clock({ clock: one }) {
  const tone = one.state === "ok" ? "good" : one.guard === "none" && one.state === "unsynchronised" ? "calm" : "bad";
  const offsets = Object.values(one.offsets).filter((value) => value !== null);
  const worst = offsets.length ? Math.max(...offsets.map(Math.abs)) : null;
  return {
    name: "clock", tone, state: named("clock", one.state),
    lines: [shortly(one.now), worst !== null && t("clock.offset", { seconds: number(worst, { maximumFractionDigits: 1 }) })],
    own: ["ok", "unsynchronised"].includes(one.state) ? null : one.reason,
  };
}

function broker({ brokers }) {
  const up = brokers.filter((one) => one.state === "connected");
  const tone = up.length === brokers.length ? "good" : up.length ? "warn" : "bad";
  const away = brokers.find((one) => one.state !== "connected");
  return {
    name: "broker", tone, own: away?.reason,
    state: tone === "good" ? t("broker.connected") : t(up.length ? "broker.some" : "broker.away"),
    lines: brokers.map((one) => `${one.host}:${one.port}`),
  };
}

function ledger({ size, witnessed, standing, intake }) {
  const good = standing.state === "standing" && witnessed.state !== "missing";
  const word = standing.state !== "standing" ? `standing.${standing.state}` : `witnessed.${witnessed.state}`;
  return {
    name: "ledger", tone: good ? "good" : standing.state === "behind" ? "bad" : "warn", state: named("ledger", word),
    lines: [
      t("ledger.size", { count: size, size: number(size) }),
      witnessed.lag > 0 && t("ledger.lag", { count: witnessed.lag, lag: number(witnessed.lag) }),
      intake.entries > 0 && t("ledger.intake", { count: intake.entries, size: number(intake.entries) }),
    ],
    own: standing.reason,
  };
}

export function disk({ storage: one }) {
  return {
    name: "disk", tone: one.used >= one.stop ? "bad" : one.state !== "ok" || one.soon ? "warn" : "good",
    state: t("disk.used", { part: percent(one.used) }),
    lines: [t("disk.free", { bytes: bytes(one.free_bytes) }), one.days_left !== null && left(Math.floor(one.days_left))],
  };
}

function left(days) {
  return days < 1 ? t("disk.left.day") : t("disk.left", { days: number(days), count: days });
}

function roster({ roster: one }) {
  if (!one.pinned) return { name: "roster", tone: "calm", state: t("roster.none"), lines: [t("roster.none.says")] };
  const bad = one.conflict !== null || new Date(one.expires) < new Date();
  return {
    name: "roster", tone: bad ? "bad" : one.stale ? "warn" : "good",
    state: t("roster.version", { version: number(one.version) }),
    lines: [t("roster.expires", { when: shortly(one.expires) }), one.words],
  };
}

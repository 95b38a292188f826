/** Who holds and has countersigned what: a map, and the same as tables. */

import { h, s } from "../dom.js";
import { number, place, shortly } from "../format.js";
import { has, t } from "../i18n/index.js";
import { shape } from "../verdicts.js";
import { memberOf } from "../verify/members.js";
import { closed, refusal } from "./closed.js";

/** Members on a map; more would be a thicket, and the tables say the same. */
const MOST = 12;
const SIZE = 520;
const CENTRE = SIZE / 2;
const RADIUS = 168;
const NODE = 44;

/**
 * The newest signed head of each log that is held, with who has countersigned it.
 * @param {object} api
 * @param {object[]} members with `id` and `origin`
 * @param {object} options of the requests
 * @returns {Promise<Record<string, {size: number, witnesses: Record<string, number>}> | {closed: number}>}
 *   by member id, times in seconds; or that the caller may not see it
 */
export async function readHeads(api, members, options) {
  const notes = await Promise.all(members.map((one) =>
    api.text(`/log/${encodeURIComponent(one.id)}/checkpoint`, options).catch((error) => refusal(error) ?? "")));
  return notes.find((note) => note.closed) ?? Object.fromEntries(members.map((one, at) => [one.id, readNote(notes[at], members)]));
}

function readNote(note, members) {
  const [text, ...rest] = note.split("\n\n");
  const witnesses = {};
  for (const [, name, payload] of rest.join("\n\n").matchAll(/^— (\S+) (\S+)$/gm)) {
    const member = memberOf(members, name);
    if (member && name !== member.origin) witnesses[member.id] = readTime(payload);
  }
  return { size: Number(text.split("\n")[1] ?? 0), witnesses };
}

/** Time of a cosignature (docs/formats/note.md): behind the key id, eight bytes. */
function readTime(payload) {
  const bytes = Uint8Array.from(atob(payload), (one) => one.charCodeAt(0));
  return bytes.length < 12 ? 0 : Number(new DataView(bytes.buffer).getBigUint64(4));
}

export function meshSection(status, heads) {
  const own = { ...status, online: true, own: true };
  const members = [own, ...status.peers];
  return h("section", { class: "card mesh" },
    h("h2", {}, t("mesh.title")),
    h("p", { class: "muted" }, t("mesh.lead")),
    heads.closed ? [table("mesh.table", peersTable(status)), closed("mesh", heads)] : h("div", { class: "mesh-both" },
      members.length <= MOST && map(members, heads),
      table("mesh.table", peersTable(status), matrix(members, heads))));
}

/** Scrolls by itself where it is wider than the screen, by keyboard too. */
const table = (label, ...tables) => h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": t(label) }, tables);

function map(members, heads) {
  const at = (index) => {
    const angle = (2 * Math.PI * index) / members.length - Math.PI / 2;
    return [CENTRE + RADIUS * Math.cos(angle), CENTRE + RADIUS * Math.sin(angle)];
  };
  const arrows = [];
  members.forEach((log, to) => members.forEach((witness, from) => {
    if (from !== to) arrows.push(arrow(at(from), at(to), witness.id in heads[log.id].witnesses, heads[log.id].size === 0));
  }));
  return h("figure", { class: "map" },
    s("svg", { viewBox: `0 0 ${SIZE} ${SIZE}`, role: "img", "aria-label": t("mesh.picture") },
      s("defs", {}, head("tip"), head("tip-off")),
      arrows, members.map((one, index) => node(one, at(index)))),
    h("figcaption", { class: "small muted" }, t("mesh.legend")));
}

const head = (id) => s("marker", { id, viewBox: "0 0 10 10", refX: 9, refY: 5, markerWidth: 7, markerHeight: 7, orient: "auto-start-reverse" },
  s("path", { class: id, d: "M0 1l9 4-9 4z" }));

/** A bow from a witness to the log that it has countersigned; dashed if it has not. */
function arrow([x1, y1], [x2, y2], done, empty) {
  const [dx, dy] = [x2 - x1, y2 - y1];
  const length = Math.hypot(dx, dy);
  const [ux, uy] = [dx / length, dy / length];
  const bow = 24;
  const [mx, my] = [(x1 + x2) / 2 - uy * bow, (y1 + y2) / 2 + ux * bow];
  const cut = NODE + 6;
  const start = toward([x1, y1], [mx, my], cut);
  const end = toward([x2, y2], [mx, my], cut);
  const kind = done ? "done" : empty ? "empty" : "due";
  return s("path", { class: `map-arrow ${kind}`, d: `M${start}Q${mx.toFixed(1)} ${my.toFixed(1)} ${end}`, "marker-end": `url(#${done ? "tip" : "tip-off"})` });
}

function toward([x, y], [tx, ty], by) {
  const length = Math.hypot(tx - x, ty - y);
  return `${(x + ((tx - x) / length) * by).toFixed(1)} ${(y + ((ty - y) / length) * by).toFixed(1)}`;
}

function toneOf(one) {
  if (one.own) return "good";
  if (one.membership === "suspended" || one.state === "failed") return "bad";
  return !one.online || one.state === "waiting" || one.state === "catching-up" ? "warn" : "good";
}

function node(one, [x, y]) {
  return s("g", { class: `map-node${one.own ? " own" : ""}`, "data-tone": toneOf(one) },
    s("circle", { cx: x, cy: y, r: NODE }),
    s("text", { x, y: y - 3, class: "map-name" }, one.id),
    s("text", { x, y: y + 15, class: "map-place" }, one.jurisdiction));
}

function peersTable({ peers }) {
  const columns = ["peer", "state", "entries", "missing", "fresh"];
  return h("table", {}, h("caption", { class: "unseen" }, t("mesh.held")),
    h("thead", {}, h("tr", {}, columns.map((name) => h("th", { scope: "col", class: ["entries", "missing"].includes(name) ? "number" : null }, t(`mesh.${name}`))))),
    h("tbody", {}, peers.map((one) => h("tr", {},
      h("th", { scope: "row" }, h("span", { class: "code" }, one.id), h("span", { class: "small muted" }, ` · ${place(one.jurisdiction)}`, h("br"), h("bdi", {}, one.institution))),
      h("td", {}, h("span", { class: "mesh-state", dataset: { tone: toneOf(one) } }, shape(toneOf(one) === "good" ? "valid" : toneOf(one) === "warn" ? "unwitnessed" : "failed", 18), " ", stateOf(one))),
      h("td", { class: "number" }, number(one.size)),
      h("td", { class: "number" }, number(one.missing)),
      h("td", {}, one.as_of ? h("time", { datetime: one.as_of }, shortly(one.as_of)) : t("mesh.never"))))));
}

function stateOf(one) {
  if (one.membership !== "active") return t(`mesh.membership.${one.membership}`);
  if (!one.online) return t(one.online === null ? "mesh.unheard" : "mesh.offline"); // null: no broker says
  return has(`mesh.state.${one.state}`) ? t(`mesh.state.${one.state}`) : one.state;
}

/** For each log, who has countersigned its newest head that is held here, and when. */
function matrix(members, heads) {
  return h("table", { class: "matrix" }, h("caption", {}, h("h3", {}, t("mesh.matrix"))),
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("mesh.log")), h("th", { scope: "col", class: "number" }, t("mesh.size")),
      members.map((one) => h("th", { scope: "col", class: "code" }, one.id)))),
    h("tbody", {}, members.map((log) => h("tr", {},
      h("th", { scope: "row", class: "code" }, log.id),
      h("td", { class: "number" }, number(heads[log.id].size)),
      members.map((witness) => cell(log, witness, heads[log.id]))))));
}

function cell(log, witness, { size, witnesses }) {
  if (log.id === witness.id) return h("td", { class: "muted" }, t("mesh.issuer"));
  if (!(witness.id in witnesses)) return h("td", { class: "muted" }, size === 0 ? t("mesh.empty") : t("mesh.not-yet"));
  const at = witnesses[witness.id] * 1000;
  return h("td", { class: "mesh-state", dataset: { tone: "good" } }, shape("valid", 16), " ",
    h("time", { class: "small", datetime: new Date(at).toISOString() }, shortly(at)));
}

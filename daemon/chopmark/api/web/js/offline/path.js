// The way from the document to the signed head, drawn as a tree: a trunk, and beside each of its
// nodes the hash that it is joined with.

import { toHex } from "../core/bytes.js";
import { h, s } from "../dom.js";
import { number, t } from "./words.js";

const ROW = 46;
const [WIDTH, MIDDLE, AWAY] = [360, 180, 112];
const SHOWN = 6;

/**
 * @param {NonNullable<import("../core/offline.js").Answer["proven"]>} proven a proof that is good
 * @param {boolean} hasDocument whether there is the document that the entry is about
 */
export function pathSection(proven, hasDocument) {
  const { leaf, path, head, index } = proven;
  const stages = [
    ...(hasDocument ? [{ text: t("path.document") }] : []),
    { text: toHex(leaf), hash: leaf, sibling: path[0] },
    ...path.map(({ hash }, at) => ({ text: toHex(hash), hash, sibling: path[at + 1] })),
    { text: t("path.head") },
  ];
  const words = { index: number(index), size: number(head.checkpoint.size), origin: head.checkpoint.origin };
  return h("details", { class: "path-fold" },
    h("summary", {}, t("path.title")),
    h("p", {}, t("path.says", words)),
    h("div", { class: "path" },
      h("ol", { class: "path-steps", reversed: true }, stages.filter(({ hash }) => hash).reverse().map(step)),
      h("div", { class: "path-picture" }, drawTree(stages))));
}

function step({ hash, sibling }, at, { length }) {
  const name = at === 0 ? "path.root" : at === length - 1 ? "path.leaf" : "path.node";
  return h("li", {},
    h("strong", {}, t(name)), " ", h("span", { class: "code" }, toHex(hash)),
    sibling && h("div", { class: "small muted" }, t(`path.sibling.${sibling.side}`), " ",
      h("span", { class: "code" }, toHex(sibling.sibling))));
}

function drawTree(stages) {
  const y = (at) => (stages.length - at) * ROW - ROW / 2 + 4;
  const parts = stages.flatMap((stage, at) => [
    at + 1 < stages.length && s("path", { class: "tree-edge passed", d: `M${MIDDLE} ${y(at)}V${y(at + 1)}` }),
    stage.sibling && drawSibling(stage.sibling, y(at), y(at + 1)),
    ...drawNode(stage, y(at)),
  ]);
  const height = stages.length * ROW + 8;
  const about = t("path.picture", { count: number(stages.filter(({ sibling }) => sibling).length) });
  return s("svg", { class: "tree", viewBox: `0 0 ${WIDTH} ${height}`, width: WIDTH, role: "img", "aria-label": about }, parts);
}

function drawSibling({ side, sibling }, from, to) {
  const x = MIDDLE + (side === "left" ? -AWAY : AWAY);
  const bend = `M${x} ${from}V${from - ROW * 0.55}Q${x} ${to} ${MIDDLE} ${to}`;
  return [
    s("path", { class: "tree-edge passed", d: bend, fill: "none" }),
    s("rect", { class: "tree-sibling passed", x: x - 30, y: from - 11, width: 60, height: 22, rx: 4 }),
    s("text", { class: "tree-text sibling", x, y: from + 4 }, toHex(sibling).slice(0, SHOWN)),
  ];
}

function drawNode({ text, hash }, at) {
  const half = hash ? 34 : 52;
  return [
    s("rect", { class: "tree-node passed", x: MIDDLE - half, y: at - 14, width: 2 * half, height: 28, rx: 5 }),
    s("text", { class: "tree-text passed", x: MIDDLE, y: at + 4 }, hash ? text.slice(0, SHOWN) : text),
  ];
}

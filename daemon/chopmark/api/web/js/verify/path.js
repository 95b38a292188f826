/** The way from the document to the signed root, as a tree that one can step through. */

import { toHex as hex } from "../core/bytes.js";
import { h, s, set, uid } from "../dom.js";
import { number } from "../format.js";
import { t } from "../i18n/index.js";

const ROW = 46;
const WIDTH = 360;
const MIDDLE = 180;
const AWAY = 112;

/** Is loaded when it is opened: most people look at the verdict alone. */
export function pathSection(job, one, desk) {
  const place = h("div", { class: "path" }, t("loading"));
  const details = h("details", { class: "path-fold no-print" }, h("summary", {}, t("path.title")), place);
  details.addEventListener("toggle", () => {
    if (details.open && !details.dataset.drawn) {
      details.dataset.drawn = "1";
      draw(place, job, one, desk);
    }
  });
  return details;
}

async function draw(place, job, one, desk) {
  try {
    const url = `/v1/proofs/${encodeURIComponent(one.id)}/${one.index}?bare=true`;
    const [{ readWay }, text] = await Promise.all([
      import("./proof.js"), job.proofText ?? desk.app.api.text(url, { quiet: true }),
    ]);
    set(place, stepper(job, readWay(text, job.digests)));
  } catch (error) {
    set(place, h("p", { class: "muted" }, t([401, 403].includes(error.status) ? "path.closed" : "path.none")));
  }
}

/** Stages: the document, its entry (the leaf), each pair above, the root, who signed it. */
function stepper(job, proof) {
  const { steps, match } = proof;
  const reaches = proof.reaches && ["all", "no-document"].includes(match);
  const stages = [
    // Another document than the entry's has no part in its way.
    ...(match === "all" ? [{ kind: "document" }] : []),
    ...steps.map((step, at) => ({ ...step, kind: at === 0 ? "leaf" : at === steps.length - 1 ? "root" : "node", level: at })),
    { kind: "signed" },
  ];
  if (steps.length === 1) stages.splice(-1, 0, { ...steps[0], kind: "root", level: 0 });
  let at = 0;
  const words = h("div", { class: "path-words", "aria-live": "polite" });
  const picture = s("svg", { class: "tree", viewBox: `0 0 ${WIDTH} ${stages.length * ROW + 8}`, width: WIDTH, role: "img", "aria-label": t("path.picture", { count: steps.length - 1 }) });
  const range = h("input", { type: "range", min: 0, max: stages.length - 1, value: 0, id: uid("step"), oninput: () => go(Number(range.value)) });
  const button = (name, by) => h("button", { type: "button", class: "button small", onclick: () => go(at + by) }, t(`path.${name}`));
  const [down, up] = [button("down", -1), button("up", 1)];

  function go(to) {
    at = Math.max(0, Math.min(stages.length - 1, to));
    range.value = String(at);
    range.setAttribute("aria-valuetext", t(`path.${stages[at].kind}.title`));
    down.disabled = at === 0;
    up.disabled = at === stages.length - 1;
    set(picture, drawTree(stages, at));
    set(words, describe(stages[at], { at, stages, job, proof }));
  }

  go(0);
  return [
    h("div", { class: "path-side" },
      h("p", { class: "path-result", dataset: { tone: reaches ? "calm" : "bad" } }, t(resultOf(proof))),
      h("div", { class: "path-tools" }, down, up),
      h("label", { for: range.id, class: "small muted" }, t("path.step")), range, words),
    h("div", { class: "path-picture" }, picture),
  ];
}

function resultOf({ reaches, match }) {
  if (!reaches) return "path.astray";
  if (match === "blinded") return "path.hidden";
  return ["all", "no-document"].includes(match) ? "path.reaches" : "path.elsewhere";
}

function describe(stage, { at, stages, job, proof }) {
  const values = {
    at: number(at + 1), all: number(stages.length), index: number(proof.index), size: number(proof.size),
    origin: proof.origin, name: job.name,
  };
  const hash = (label, some) => h("p", {}, h("span", { class: "small muted" }, t(label)), h("br"), h("span", { class: "code" }, some));
  return [
    h("p", { class: "small muted" }, t("path.at", values)),
    h("h4", {}, t(`path.${stage.kind}.title`)),
    h("p", {}, t(`path.${stage.kind}.says`, values)),
    stage.kind === "document" && Object.entries(job.digests).map(([name, one]) => hash(`path.digest.${name}`, one)),
    stage.hash && hash("path.hash", hex(stage.hash)),
    stage.sibling && hash(`path.sibling.${stage.side}`, hex(stage.sibling)),
    stage.kind === "root" && h("p", {}, t(proof.reaches ? "path.root.same" : "path.root.other")),
    stage.kind === "signed" && h("ul", { class: "signers" }, proof.signers.map((name) =>
      h("li", {}, h("span", { class: "code" }, name), " ",
        h("span", { class: "small muted" }, t(name === proof.origin ? "path.signer.log" : "path.signer.witness"))))),
  ];
}

/** From the bottom up: a trunk, and beside each of its nodes the hash that it is joined with. */
function drawTree(stages, now) {
  const y = (at) => (stages.length - at) * ROW - ROW / 2 + 4;
  const parts = [];
  stages.forEach((stage, at) => {
    const passed = at <= now ? " passed" : "";
    if (at + 1 < stages.length) {
      const next = at < now ? " passed" : "";
      parts.push(s("path", { class: `tree-edge${next}`, d: `M${MIDDLE} ${y(at)}V${y(at + 1)}` }));
      if (stage.sibling) {
        const x = MIDDLE + (stage.side === "left" ? -AWAY : AWAY);
        parts.push(s("path", { class: `tree-edge${next}`, d: `M${x} ${y(at)}V${y(at) - ROW * 0.55}Q${x} ${y(at + 1)} ${MIDDLE} ${y(at + 1)}`, fill: "none" }));
        parts.push(s("rect", { class: `tree-sibling${next}`, x: x - 30, y: y(at) - 11, width: 60, height: 22, rx: 4 }));
        parts.push(s("text", { class: "tree-text sibling", x, y: y(at) + 4 }, hex(stage.sibling).slice(0, 6)));
      }
    }
    const here = at === now ? " here" : "";
    const wide = stage.kind === "document" || stage.kind === "signed" ? 52 : 34;
    parts.push(s("rect", { class: `tree-node ${stage.kind}${passed}${here}`, x: MIDDLE - wide, y: y(at) - 14, width: 2 * wide, height: 28, rx: stage.kind === "signed" ? 14 : 5 }));
    const text = stage.hash ? hex(stage.hash).slice(0, 6) : t(`path.${stage.kind}.short`);
    parts.push(s("text", { class: `tree-text${passed}`, x: MIDDLE, y: y(at) + 4 }, text));
  });
  return parts;
}

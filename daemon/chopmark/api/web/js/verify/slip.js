/** Reads a paper slip (docs/formats/slip.md), by camera or from a picture: what it gives is a proof. */

import { h, set, uid } from "../dom.js";
import { t } from "../i18n/index.js";

/** Why the camera cannot be used, by the name of the browser's error. */
const CAMERA = { NotAllowedError: "denied", SecurityError: "denied", NotFoundError: "no-camera", OverconstrainedError: "no-camera" };
const KNOWN = new Set(["no-code", "unreadable-picture", "malformed-slip"]);

/**
 * A button, and the dialogue behind it.
 * @param {(proof: string) => void} read takes the text of the proof that a slip stands for
 */
export function slipButton(read) {
  return h("button", { type: "button", class: "button", onclick: () => open(read) }, t("slip.read"));
}

function open(read) {
  const stop = new AbortController();
  const said = h("div", { role: "alert" });
  const video = h("video", { class: "slip-video", hidden: true, "aria-label": t("slip.hold") });
  const hold = h("p", { class: "muted", hidden: true }, t("slip.hold"));
  const id = uid("picture");
  const input = h("input", { type: "file", id, class: "unseen", accept: "image/*,.pdf,.txt", onchange: () => take((scan) => scan.scanFile(input.files[0])) });
  const camera = h("button", { type: "button", class: "button main", onclick: look }, t("slip.camera"));
  const title = h("h2", { id: uid("slip") }, t("slip.read"));
  const box = h("dialog", { class: "slip", "aria-labelledby": title.id, onclose: () => { stop.abort(); box.remove(); } },
    title, h("p", { class: "muted" }, t("slip.lead")), said, video, hold,
    h("div", { class: "slip-ways" }, camera, input, h("label", { for: id, class: "button" }, t("slip.picture")),
      h("button", { type: "button", class: "button plain", onclick: () => box.close() }, t("verify.cancel"))));

  function look() {
    camera.disabled = true;
    for (const one of [video, hold]) one.hidden = false;
    take((scan) => scan.scanCamera(video, stop.signal)).finally(() => {
      camera.disabled = false;
      for (const one of [video, hold]) one.hidden = true;
    });
  }

  async function take(scanning) {
    set(said);
    try {
      const [scan, { slipToProof }] = await Promise.all([import("../views/scan.js"), import("../core/slip.js")]);
      const proof = new TextDecoder().decode(slipToProof(await scanning(scan)));
      box.close();
      read(proof);
    } catch (error) {
      if (!stop.signal.aborted) set(said, h("p", { class: "problem" }, h("strong", {}, t(`slip.problem.${reason(error)}`))));
    } finally {
      input.value = "";
    }
  }

  document.body.append(box);
  box.showModal();
}

/** Everything that is wrong with the text of a code is one thing to a clerk: it was not read well. */
function reason(error) {
  return CAMERA[error.name] ?? (KNOWN.has(error.code) ? error.code : "malformed-slip");
}

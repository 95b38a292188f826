/** What scenarios and traces have in common: files in, hashed here, and files out. */

import { utf8 } from "../core/bytes.js";
import { readAttestation } from "../core/check.js";
import { parseExtra, parseProof } from "../core/proof.js";
import { h, uid } from "../dom.js";
import { pool } from "../hash/pool.js";
import { t } from "../i18n/index.js";
import { isProof } from "../verify/pairs.js";

/** Bytes of the largest proof that there is. */
const MAX_PROOF = 128 * 1024;

/**
 * What a person has at hand: the document by its digests, its proof, proofs of consents and uses.
 * @param {File[]} files
 * @param {AbortSignal} signal
 * @returns {Promise<{file: File | null, digests: Record<string, string> | null, proof: string | null, records: string[]}>}
 */
export async function readFiles(files, signal) {
  const file = files.find((one) => !isProof(one)) ?? null;
  const texts = await Promise.all(files.filter(isProof).map((one) => one.slice(0, MAX_PROOF + 1).text()));
  const proof = texts.find(isDocument) ?? null;
  const records = texts.filter((text) => text !== proof);
  const digests = file && file.size > 0 ? (await pool.hash(file, ["sha256", "sm3"], { signal })).digests : null;
  return { file, digests, proof, records };
}

/** Whether a proof is of an attestation, and so a document's. */
function isDocument(text) {
  try {
    return readAttestation(parseExtra(parseProof(utf8(text)).extra).entry).entry !== null;
  } catch {
    return false; // the gateway says what is wrong with it
  }
}

/** A place to choose files; dropping them on it does the same. */
export function chooser(lead, hint, take) {
  const id = uid("file");
  const input = h("input", { type: "file", id, multiple: true, class: "unseen", onchange: () => { take([...input.files]); input.value = ""; } });
  return h("div", {
    class: "drop",
    ondragover: (event) => event.preventDefault(),
    ondrop: (event) => { event.preventDefault(); take([...event.dataTransfer.files]); },
  },
  h("p", { class: "drop-lead" }, lead), input,
  h("label", { for: id, class: "button" }, t("verify.drop.choose")),
  h("p", { class: "small muted" }, hint));
}

/** Let the browser save a text under a name. */
export function save(text, name, type = "text/plain") {
  const link = h("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** A choice of one of some values. */
export function choice(label, options, attributes = {}) {
  const id = uid("choice");
  const select = h("select", { id, required: true, ...attributes }, options.map(([value, text]) => h("option", { value }, text)));
  return { select, field: h("div", { class: "field" }, h("label", { for: id }, label), select) };
}

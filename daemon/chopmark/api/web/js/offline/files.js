// What was dropped or chosen: documents, proofs, and slips, which stand for proofs; told apart by name
// or by how they begin. A picture may be the document itself, so it is a slip where it is given as one.

import { parseExtra, parseProof, MAX_PROOF, SUFFIX } from "../core/proof.js";
import { readAttestation } from "../core/check.js";
import { MAX_TEXT, PREFIX, slipToProof } from "../core/slip.js";
import { scanFile } from "../views/scan.js";

const BEGINS = { proof: "c2sp.org/tlog-proof@", slip: PREFIX };
/** The name of a slip's PDF, as `chopmark slip` gives it, and of a second download of it. */
const SLIP = /\.slip( ?\(\d+\))?\.pdf$/i;
/** What a browser adds to the name of a second download: `statement (1).pdf`. */
const COPY = / ?\(\d+\)/;

/**
 * A proof that was given.
 * @typedef {object} Given
 * @property {string} name of its file
 * @property {ReturnType<typeof parseProof> | null} proof
 * @property {object | null} entry its attestation, where it can be read; nothing is verified yet
 * @property {Uint8Array | null} salt
 * @property {boolean} isSlip
 * @property {Error | null} error why it cannot be read
 */

/** What a file is: `proof`, `slip`, or null for a document. @param {File} file */
export async function sortOf(file) {
  if (file.name.toLowerCase().endsWith(SUFFIX)) return "proof";
  if (SLIP.test(file.name)) return "slip";
  if (file.size <= MAX_PROOF && (await beginsAs(file, BEGINS.proof))) return "proof";
  return file.size <= MAX_TEXT + 2 && (await beginsAs(file, BEGINS.slip)) ? "slip" : null;
}

async function beginsAs(file, text) {
  const begin = new Uint8Array(await file.slice(0, text.length).arrayBuffer());
  return begin.length === text.length && text === String.fromCharCode(...begin);
}

/** Read a proof file. @param {File} file @returns {Promise<Given>} */
export const readProofFile = (file) =>
  read(file, false, async () => new Uint8Array(await file.slice(0, MAX_PROOF + 1).arrayBuffer()));

/** Read a slip: a picture, its PDF or its text. @param {File} file @returns {Promise<Given>} */
export const readSlipFile = (file) => read(file, true, async () => slipToProof(await scanFile(file)));

async function read(file, isSlip, getBytes) {
  const nothing = { name: file.name, proof: null, entry: null, salt: null, isSlip, error: null };
  try {
    const proof = parseProof(await getBytes());
    const { entry, salt } = parseExtra(proof.extra);
    return { ...nothing, proof, entry: readAttestation(entry).entry, salt };
  } catch (error) {
    return { ...nothing, error };
  }
}

/** Whether a proof is called as a document's. @param {string} proof @param {string} document */
export function isNamedAs(proof, document) {
  const bare = proof.toLowerCase().endsWith(SUFFIX) ? proof.slice(0, -SUFFIX.length) : proof.replace(SLIP, "");
  return bare === document || bare.replace(COPY, "") === document.replace(COPY, "");
}

/** All files of what was dropped, those in folders too. @param {DataTransfer} transfer */
export async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (entries.length === 0) return [...transfer.files];
  return (await Promise.all(entries.map(walk))).flat();
}

async function walk(entry) {
  if (entry.isFile) return [await new Promise((give, fail) => entry.file(give, fail))];
  const reader = entry.createReader();
  const inside = [];
  for (;;) {
    const some = await new Promise((give, fail) => reader.readEntries(give, fail));
    if (some.length === 0) break; // a call gives a hundred at most
    inside.push(...some);
  }
  return (await Promise.all(inside.map(walk))).flat();
}

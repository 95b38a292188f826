// What was dropped or chosen: documents, and proofs, told apart by name or by how they begin.

import { parseExtra, parseProof, MAX_PROOF, SUFFIX } from "../core/proof.js";
import { readAttestation } from "../core/check.js";

const BEGIN = "c2sp.org/tlog-proof@";
/** What a browser adds to the name of a second download: `statement (1).pdf`. */
const COPY = / ?\(\d+\)/;

/**
 * A proof that was given.
 * @typedef {object} Given
 * @property {string} name of its file
 * @property {ReturnType<typeof parseProof> | null} proof
 * @property {object | null} entry its attestation, where it can be read; nothing is verified yet
 * @property {Uint8Array | null} salt
 * @property {Error | null} error why it cannot be read
 */

/** Whether a file is a proof. @param {File} file */
export async function isProof(file) {
  if (file.name.toLowerCase().endsWith(SUFFIX)) return true;
  if (file.size > MAX_PROOF) return false;
  const begin = new Uint8Array(await file.slice(0, BEGIN.length).arrayBuffer());
  return begin.length === BEGIN.length && BEGIN === String.fromCharCode(...begin);
}

/** Read a proof file. @param {File} file @returns {Promise<Given>} */
export async function readProofFile(file) {
  const nothing = { name: file.name, proof: null, entry: null, salt: null, error: null };
  try {
    const proof = parseProof(new Uint8Array(await file.slice(0, MAX_PROOF + 1).arrayBuffer()));
    const { entry, salt } = parseExtra(proof.extra);
    return { ...nothing, proof, entry: readAttestation(entry).entry, salt };
  } catch (error) {
    return { ...nothing, error };
  }
}

/** Whether a proof is called as a document's. @param {string} proof @param {string} document */
export function isNamedAs(proof, document) {
  const bare = proof.toLowerCase().endsWith(SUFFIX) ? proof.slice(0, -SUFFIX.length) : proof;
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

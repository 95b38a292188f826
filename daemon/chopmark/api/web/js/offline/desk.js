// What lies on the desk: documents with their digests, proofs, and what each pair is worth.
//
// A proof belongs to the document that it attests; else to the one that it is called after; else,
// where one document and one proof are left over, they belong together. So a proof may be dropped
// before, with or after its document.

import { compare } from "../core/check.js";
import { verifyBySeal } from "../core/offline.js";
import { isNamedAs, isProof, readProofFile } from "./files.js";
import { hashFile } from "./hash.js";

/**
 * What is shown for a document, a proof, or both.
 * @typedef {object} Result
 * @property {"busy" | "judged" | "needs-proof" | "unreadable" | "failed"} state
 * @property {string} name
 * @property {object | null} document
 * @property {import("./files.js").Given | null} given
 * @property {import("../core/offline.js").Answer | null} answer
 */

export class Desk {
  /**
   * @param {ReturnType<typeof import("../core/offline.js").openSeal>} seal
   * @param {() => bigint} now ms since the Unix epoch
   * @param {() => void} changed called whenever there is something new to show
   */
  constructor(seal, now, changed) {
    this.seal = seal;
    this.expected = { expectIssuer: null, expectKind: null };
    this.#now = now;
    this.#changed = changed;
  }

  documents = [];
  proofs = [];
  #now;
  #changed;
  #queue = Promise.resolve();

  /** Put everything away. */
  clear() {
    this.documents = [];
    this.proofs = [];
    this.#changed();
  }

  /** Put files on the desk. @param {File[]} files */
  async add(files) {
    for (const file of files) {
      if (await isProof(file)) this.proofs.push(await readProofFile(file));
      else this.documents.push({ file, name: file.name, digests: null, part: 0, error: null });
    }
    this.#changed();
    // One file after the other: a disk reads best in one go.
    this.#queue = this.#queue.then(() => this.#hashAll());
    await this.#queue;
  }

  /** What there is to show. @returns {Result[]} */
  results() {
    const pairs = pairUp(this.documents, this.proofs);
    const taken = new Set(pairs.map(({ document }) => document));
    const alone = this.documents.filter((document) => !taken.has(document));
    return [...pairs, ...alone.map((document) => ({ document, given: null }))].map((pair) =>
      this.#judge(pair),
    );
  }

  #judge({ document, given }) {
    const result = { name: document?.name ?? given.name, document, given, answer: null };
    if (document !== null && document.error !== null) return { ...result, state: "failed" };
    if (document !== null && isBusy(document)) return { ...result, state: "busy" };
    if (given === null) return { ...result, state: "needs-proof" };
    if (given.error !== null) return { ...result, state: "unreadable" };
    const question = { now: this.#now(), ...this.expected };
    const answer = verifyBySeal(document?.digests ?? null, given.proof, this.seal, question);
    return { ...result, state: "judged", answer };
  }

  async #hashAll() {
    for (const document of this.documents) {
      if (document.error === null && document.digests === null) await this.#hash(document, ["sha256"]);
    }
    // SM3 takes as long again, and few attestations name it.
    for (const { document, given } of pairUp(this.documents, this.proofs)) {
      const due = document?.digests && !document.digests.sm3 && given.entry?.sm3;
      if (due) await this.#hash(document, ["sm3"]);
    }
    this.#changed();
  }

  async #hash(document, algorithms) {
    document.part = 0;
    const before = document.digests;
    document.digests = null;
    try {
      const digests = await hashFile(document.file, algorithms, (part) => {
        document.part = part;
        this.onProgress?.(document);
      });
      document.digests = { ...before, ...digests };
    } catch (error) {
      document.error = error;
    }
    this.#changed();
  }
}

const isBusy = ({ digests, error }) => digests === null && error === null;

/** Which document each proof belongs to; null where there is none. */
function pairUp(documents, proofs) {
  const taken = new Set();
  const found = new Map();
  const take = (given, document) => {
    if (document === undefined) return;
    found.set(given, document);
    taken.add(document);
  };
  for (const given of proofs) take(given, documents.find((document) => attests(given, document)));
  for (const given of proofs.filter((one) => !found.has(one))) {
    take(given, documents.find((one) => !taken.has(one) && isNamedAs(given.name, one.name)));
  }
  const [alone, ...more] = proofs.filter((one) => !found.has(one));
  const left = documents.filter((one) => !taken.has(one));
  if (alone !== undefined && more.length === 0 && left.length === 1) take(alone, left[0]);
  return proofs.map((given) => ({ given, document: found.get(given) ?? null }));
}

/** Whether a proof is of this very document, as far as that can be told by now. */
function attests({ proof, entry, salt }, { digests }) {
  if (entry === null || digests === null) return false;
  return ["all", "missing"].includes(compare(entry, digests, proof.checkpoint.origin, salt));
}

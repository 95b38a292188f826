// What lies on the desk: documents with their digests, proofs, and what each pair is worth. A slip is
// a proof here, whose own paper nobody looks at.
//
// A proof belongs to the document that it attests, of several such to the one that it is called
// after; else to the one that it is called after; and one document and one proof alone belong
// together. So a proof may be dropped before, with or after its document.

import { compare } from "../core/check.js";
import { verifyBySeal } from "../core/offline.js";
import { isNamedAs, readProofFile, readSlipFile, sortOf } from "./files.js";
import { hashFile } from "./hash.js";

/**
 * What is shown for a document, a proof, or both.
 * @typedef {object} Result
 * @property {"busy" | "judged" | "needs-proof" | "unreadable" | "unread-slip" | "failed"} state
 * @property {string} name
 * @property {object | null} document
 * @property {import("./files.js").Given | null} given
 * @property {import("../core/offline.js").Answer | null} answer
 * @property {bigint} [now] time (ms) as of which it was judged
 * @property {"asked" | "answered" | null} [issuer] whether the clerk is asked, or has said, that the
 *   issuer is the institution that the customer names; null where that is no question
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

  /**
   * What the clerk says of the issuer.
   * @param {import("./files.js").Given} given the proof
   * @param {boolean} confirmed that it is the institution that the customer names; false takes it back
   */
  confirm(given, confirmed) {
    given.confirmed = confirmed;
    this.#changed();
  }

  /** Put files on the desk. @param {File[]} files */
  async add(files) {
    for (const file of files) {
      const sort = await sortOf(file);
      if (sort !== null) this.proofs.push(await (sort === "slip" ? readSlipFile : readProofFile)(file));
      else this.documents.push({ file, name: file.name, digests: null, part: 0, error: null });
    }
    this.#changed();
    // One file after the other: a disk reads best in one go.
    this.#queue = this.#queue.then(() => this.#hashAll());
    await this.#queue;
  }

  /** Put slips on the desk, whatever they are called. @param {File[]} files */
  async addSlips(files) {
    for (const file of files) this.proofs.push(await readSlipFile(file));
    await this.add([]); // a document may have to be hashed anew, by what the slip names
  }

  /** What there is to show. @returns {Result[]} */
  results() {
    const pairs = pairUp(this.documents, this.proofs);
    const taken = new Set(pairs.map(({ document }) => document));
    const alone = this.documents.filter((document) => !taken.has(document));
    // Whether a proof is alone is known once all documents are hashed.
    const settled = pairs.filter(({ document }) => document !== null || !this.documents.some(isBusy));
    const all = [...settled, ...alone.map((document) => ({ document, given: null }))];
    return all.map((pair) => this.#judge(pair));
  }

  #judge({ document, given }) {
    const result = { name: document?.name ?? given.name, document, given, answer: null };
    if (document !== null && document.error !== null) return { ...result, state: "failed" };
    if (isBusy(document) || lacksSm3(document, given)) return { ...result, state: "busy" };
    if (given === null) return { ...result, state: "needs-proof" };
    if (given.error !== null) return { ...result, state: given.isSlip ? "unread-slip" : "unreadable" };
    const question = { now: this.#now(), ...this.expected };
    const answer = verifyBySeal(document?.digests ?? null, given.proof, this.seal, question);
    return { ...result, state: "judged", answer, now: question.now, issuer: this.#standing(answer, given) };
  }

  /** Nothing is good before somebody has said whose document it is to be. */
  #standing({ word }, { confirmed }) {
    if (word !== "valid-as-of" || this.expected.expectIssuer !== null) return null;
    return confirmed ? "answered" : "asked";
  }

  async #hashAll() {
    for (const document of this.documents) {
      // SM3 takes as long again, and few attestations name it.
      const named = this.proofs.some(({ entry }) => entry?.sm3);
      const isNew = document.error === null && document.digests === null;
      if (isNew) await this.#hash(document, named ? ["sha256", "sm3"] : ["sha256"]);
    }
    for (const { document, given } of pairUp(this.documents, this.proofs)) {
      if (lacksSm3(document, given)) await this.#hash(document, ["sm3"]); // the proof came later
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

const isBusy = (document) => document?.digests === null && document.error === null;

const lacksSm3 = (document, given) =>
  Boolean(given?.entry?.sm3 && document?.digests && !document.digests.sm3);

/** Which document each proof belongs to; null where there is none. */
function pairUp(documents, proofs) {
  const taken = new Set();
  const found = new Map();
  const isFree = (document) => !taken.has(document);
  const passes = [
    (given, one) => isFree(one) && attests(given, one) && isNamedAs(given.name, one.name),
    (given, one) => isFree(one) && attests(given, one),
    (given, one) => isFree(one) && isNamedAs(given.name, one.name),
    (given, one) => attests(given, one), // a second proof of one document
  ];
  const take = (given, document) => {
    if (document === undefined) return;
    found.set(given, document);
    taken.add(document);
  };
  const left = () => proofs.filter((given) => !found.has(given));
  for (const fits of passes) {
    for (const given of left()) take(given, documents.find((document) => fits(given, document)));
  }
  if (documents.length === 1 && proofs.length === 1) take(proofs[0], documents[0]);
  return proofs.map((given) => ({ given, document: found.get(given) ?? null }));
}

/** Whether a proof is of this very document, as far as that can be told by now. */
function attests({ proof, entry, salt }, { digests }) {
  if (entry === null || digests === null) return false;
  return ["all", "missing"].includes(compare(entry, digests, proof.checkpoint.origin, salt));
}

/**
 * The documents that are being verified: hashed here, judged by the gateway.
 *
 * What goes to the gateway are digests, the text of a proof, and what the clerk expects. The files
 * themselves go to the workers that hash them, and nowhere else.
 */

import { isSlip, pair } from "./pairs.js";
import { pool } from "../hash/pool.js";
import { rank } from "../verdicts.js";
import { forkedOf, matchOf, wantsSm3 } from "./answers.js";
import { lookOf } from "./looks.js";
import { mayCarrySlip, seek } from "./seek.js";

/** Bytes of the largest proof that there is. */
const MAX_PROOF = 128 * 1024;
/** Codes of a proof that the gateway cannot read. */
const UNREAD = /^malformed-/;
export const SETTLED = new Set(["done", "failed", "cancelled"]);
/** Documents that are taken at a time. */
export const MAX_DOCUMENTS = 500;

let number = 0;

export class Jobs extends EventTarget {
  constructor() {
    super();
    this.items = [];
    this.expect = { issuer: "", kind: "" };
    this.withSm3 = false;
    this.left = 0;
  }

  /** Take files in, in place of those before. */
  add(files, api) {
    const waiting = this.#alone((job) => job.slip && !job.file)?.slip;
    this.clear();
    const pairs = pair(files);
    // A document that comes after a slip is the one that the slip is to be of; those after it are
    // other customers'.
    const [only] = pairs;
    if (waiting && pairs.length === 1 && only.file && !only.proof) only.slip = waiting;
    return this.#take(pairs, api);
  }

  /** Take in what a slip stands for: the text of a proof, of the one document that is there. */
  addSlip(slip, name, api) {
    const file = this.#alone((job) => job.file && !job.proof && !job.slip)?.file ?? null;
    this.clear();
    return this.#take([{ file, proof: null, name: file?.name ?? name, slip }], api);
  }

  /** The only document there is, if it is one of these. */
  #alone(such) {
    return this.items.length === 1 && such(this.items[0]) ? this.items[0] : null;
  }

  #take(pairs, api) {
    this.left = Math.max(0, pairs.length - MAX_DOCUMENTS);
    this.items = pairs.slice(0, MAX_DOCUMENTS).map((one) => ({
      slip: null,
      ...one,
      id: (number += 1),
      state: "waiting", part: 0, digests: null, proofText: null, seconds: 0,
      verdict: null, problem: null, forked: [], confirmed: null, chosen: null, answering: false, open: false,
      match: null, sought: false, scanned: null, unread: false,
      stop: new AbortController(),
    }));
    this.#tell();
    return Promise.all(this.items.map((job) => this.#run(job, api)));
  }

  /** Forget all of them; what runs is stopped. */
  clear() {
    for (const job of this.items) job.stop.abort();
    this.items = [];
    this.#tell();
  }

  /** Stop one. */
  cancel(job) {
    job.stop.abort();
  }

  /** Ask the gateway again about what is hashed already: something else is expected. */
  async ask(api, items = this.items) {
    await Promise.all(items.filter((job) => job.state === "done").map((job) => this.#judge(job, api)));
  }

  get busy() {
    return this.items.some((job) => !SETTLED.has(job.state));
  }

  /** Those that are settled, the worst first, then the others. */
  get sorted() {
    const place = (job) => (job.state === "failed" ? -1 : job.state === "done" ? rank(lookOf(job)) : 99);
    return [...this.items].sort((a, b) => place(a) - place(b) || a.id - b.id);
  }

  async #run(job, api) {
    try {
      if (job.proof) job.proofText = await (isSlip(job.proof) ? readSlip : readProof)(job.proof);
      else if (job.slip) job.proofText = job.slip;
      if (job.file) await this.#hash(job, await this.#algorithms(job));
      await this.#judge(job, api);
    } catch (error) {
      this.#fail(job, error);
    }
  }

  async #algorithms(job) {
    const named = job.proofText !== null && (await import("./proof.js")).namesSm3(job.proofText);
    return this.withSm3 || named ? ["sha256", "sm3"] : ["sha256"];
  }

  async #hash(job, algorithms) {
    if (job.file.size === 0) throw Object.assign(new Error("empty"), { code: "empty-file" });
    this.#change(job, { state: "hashing", part: 0 });
    const progress = (part) => this.#change(job, { part });
    const done = await pool.hash(job.file, algorithms, { signal: job.stop.signal, progress });
    Object.assign(job, { digests: { ...job.digests, ...done.digests }, seconds: done.seconds });
  }

  async #judge(job, api) {
    this.#change(job, { state: "asking", part: 1 });
    try {
      const verdict = await this.#current(job, api);
      const forked = await forkedOf(verdict, api, job.stop.signal);
      this.#change(job, { state: "done", verdict, forked, match: await matchOf(job, verdict) });
    } catch (error) {
      this.#fail(job, error);
    }
  }

  /** The answer to what is expected by now: it may be something else since the gateway was asked. */
  async #current(job, api) {
    for (;;) {
      const verdict = await this.#asSlip(job, await this.#answer(job, api), api);
      const { issuer, kind } = this.#expected(job);
      if (verdict.expected.issuer === issuer && verdict.expected.kind === kind) return verdict;
    }
  }

  /** The verdict; a second digest is made where the first does not do. */
  async #answer(job, api) {
    const canMore = job.file && !job.digests.sm3;
    const verdict = await this.#question(job, api).catch((problem) => {
      if (problem.code !== "digest-missing" || !canMore) throw problem;
      return null;
    });
    if (verdict !== null && !(canMore && wantsSm3(job, verdict))) return verdict;
    await this.#hash(job, ["sm3"]);
    this.#change(job, { state: "asking", part: 1 });
    return this.#question(job, api);
  }

  /**
   * The answer about the slip in a file that nobody has attested, if there is one: a photograph of
   * it, or its PDF by another name. From then on it is a slip without its document, and never valid.
   */
  async #asSlip(job, verdict, api) {
    const nobody = verdict.verdict === "unknown" && !verdict.others?.length && verdict.pruned.length === 0;
    if (!nobody || !job.file || job.proofText !== null || job.sought || !mayCarrySlip(job.file)) return verdict;
    this.#change(job, { state: "scanning", part: 1, sought: true });
    const { proof, malformed } = await seek(job.file, job.stop.signal);
    job.unread = Boolean(malformed);
    if (!proof) return verdict;
    const document = { file: job.file, slip: null, proofText: null, digests: job.digests, scanned: null };
    Object.assign(job, { file: null, slip: proof, proofText: proof, digests: null, scanned: job.digests });
    return this.#question(job, api).catch((problem) => {
      if (problem.name === "AbortError" || !UNREAD.test(problem.code)) throw problem;
      Object.assign(job, document, { unread: true });
      return verdict;
    });
  }

  #expected(job) {
    return { issuer: job.chosen ?? this.expect.issuer, kind: this.expect.kind };
  }

  #question(job, api) {
    const body = {};
    if (job.digests) body.digests = job.digests;
    if (job.proofText) body.proof = job.proofText;
    const expected = this.#expected(job);
    if (expected.issuer) body.expect_issuer = expected.issuer;
    if (expected.kind) body.expect_kind = expected.kind;
    return api.post("/v1/verifications", body, { signal: job.stop.signal })
      .then((verdict) => ({ ...verdict, expected }));
  }

  #fail(job, error) {
    const state = error.name === "AbortError" ? "cancelled" : "failed";
    this.#change(job, { state, problem: error });
  }

  #change(job, values) {
    Object.assign(job, values);
    this.dispatchEvent(new CustomEvent("job", { detail: job }));
  }

  #tell() {
    this.dispatchEvent(new CustomEvent("all"));
  }
}

async function readProof(file) {
  if (file.size > MAX_PROOF) throw Object.assign(new Error("large"), { code: "malformed-proof" });
  return file.text();
}

/** The proof that the PDF of a slip carries. */
async function readSlip(file) {
  const [{ scanFile }, { slipToProof }] = await Promise.all([import("../views/scan.js"), import("../core/slip.js")]);
  return new TextDecoder().decode(slipToProof(await scanFile(file)));
}

/** Documents that are being attested: hashed here, and their digests sent to the gateway. */

import { Problem } from "../api.js";
import { pool } from "../hash/pool.js";

/** Requests that are under way at once. */
const AT_ONCE = 4;
/** Times that a request is sent again, with the same key, when the gateway says "later". */
const RETRIES = 5;
/** Milliseconds before an answer that did not come is asked for again. */
const PATIENCE = 2000;
/** Times that the proof of a recorded entry is asked for. */
const LOOKS = 30;

let number = 0;

export class Attesting extends EventTarget {
  constructor() {
    super();
    this.items = [];
    this.terms = { kind: "", until: "", blinded: false };
  }

  /** Take files in, beside those that are there. */
  add(files) {
    for (const file of files) {
      this.items.push({
        id: (number += 1), file, key: crypto.randomUUID(), state: "chosen", part: 0, digests: null,
        answer: null, proof: null, problem: null,
      });
    }
    this.#tell();
  }

  remove(job) {
    this.items = this.items.filter((one) => one !== job);
    this.#tell();
  }

  clear() {
    this.stop?.abort();
    this.items = [];
    this.#tell();
  }

  /** Attest all that is not attested; resolves once that is done, or was stopped. */
  async run(api) {
    this.stop = new AbortController();
    const terms = { ...this.terms };
    const due = this.items.filter((job) => !job.proof && job.state !== "done");
    for (const job of due) Object.assign(job, { state: "waiting", problem: null });
    this.#tell();
    const queue = [...due];
    const work = async () => {
      for (let job = queue.shift(); job; job = queue.shift()) await this.#one(job, api, terms);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    this.#tell();
  }

  cancel() {
    this.stop?.abort();
  }

  get busy() {
    return this.items.some((job) => ["waiting", "hashing", "sending", "proving"].includes(job.state));
  }

  async #one(job, api, terms) {
    const { signal } = this.stop;
    try {
      signal.throwIfAborted();
      if (job.file.size === 0) throw new Problem(0, { code: "empty-file" });
      if (!job.digests) {
        this.#change(job, { state: "hashing" });
        const progress = (part) => this.#change(job, { part });
        job.digests = (await pool.hash(job.file, ["sha256", "sm3"], { signal, progress })).digests;
      }
      this.#change(job, { state: "sending", part: 1 });
      const answer = await this.#send(job, api, terms, signal);
      this.#change(job, { state: "proving", answer, proof: answer.proof ?? null });
      if (!job.proof) job.proof = await this.#fetch(api, answer, signal);
      this.#change(job, { state: "done" });
    } catch (error) {
      this.#change(job, { state: error.name === "AbortError" ? "chosen" : "failed", problem: error });
    }
  }

  /** The key makes sending again safe: the first entry is answered each time. */
  async #send(job, api, terms, signal) {
    const body = { digests: job.digests, kind: terms.kind, wait: 10 };
    if (terms.until) body.valid_until = new Date(`${terms.until}T23:59:59.999`).toISOString();
    if (terms.blinded) body.blinded = true;
    const headers = { "Idempotency-Key": job.key };
    for (let tries = 0; ; tries += 1) {
      try {
        return await api.post("/v1/attestations", body, { headers, signal });
      } catch (error) {
        if (!isForLater(error) || tries >= RETRIES) throw error;
        await pause(PATIENCE, signal);
      }
    }
  }

  async #fetch(api, { id, index }, signal) {
    for (let looks = 0; ; looks += 1) {
      try {
        return await api.text(`/v1/proofs/${encodeURIComponent(id)}/${index}`, { signal });
      } catch (error) {
        if ((error.code !== "not-signed" && !isForLater(error)) || looks >= LOOKS) throw error;
        await pause(PATIENCE, signal);
      }
    }
  }

  #change(job, values) {
    Object.assign(job, values);
    this.dispatchEvent(new CustomEvent("job", { detail: job }));
  }

  #tell() {
    this.dispatchEvent(new CustomEvent("all"));
  }
}

/** Whether the gateway may answer well a little later. */
const isForLater = (error) => error instanceof Problem && [0, 429, 503].includes(error.status);

function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    }, { once: true });
  });
}

/** Names for proofs in an archive: no two alike. */
export function proofNames(jobs) {
  const taken = new Set();
  return jobs.map(({ file }) => {
    let name = `${file.name}.tlog-proof`;
    for (let copy = 2; taken.has(name.toLowerCase()); copy += 1) name = `${file.name} (${copy}).tlog-proof`;
    taken.add(name.toLowerCase());
    return name;
  });
}

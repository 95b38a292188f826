/** A few workers that hash one file after the other; large files one at a time. */

const WORKER = "/page/js/hash/worker.js";
/** Bytes from which on only one file is hashed at once: a disk reads best in one go. */
const LARGE = 32 * 1024 * 1024;
const MOST = Math.max(1, Math.min(3, (navigator.hardwareConcurrency ?? 2) - 1));

export class Pool {
  constructor() {
    this.waiting = [];
    this.running = new Set();
    this.idle = [];
  }

  /**
   * Hash a file.
   * @param {File} file
   * @param {string[]} algorithms `sha256`, `sm3`
   * @param {{signal?: AbortSignal, progress?: (part: number) => void}} [how]
   * @returns {Promise<{digests: Record<string, string>, seconds: number}>} digests in hexadecimal
   */
  hash(file, algorithms, { signal, progress = () => {} } = {}) {
    return new Promise((resolve, reject) => {
      const job = { file, algorithms, progress, resolve, reject, worker: null };
      if (signal?.aborted) {
        reject(aborted());
        return;
      }
      signal?.addEventListener("abort", () => this.#cancel(job), { once: true });
      this.waiting.push(job);
      this.#go();
    });
  }

  #go() {
    while (this.waiting.length && this.running.size < MOST) {
      const busy = [...this.running].some((job) => job.file.size > LARGE);
      const at = this.waiting.findIndex((job) => !busy || job.file.size <= LARGE);
      if (at < 0) return;
      this.#start(this.waiting.splice(at, 1)[0]);
    }
  }

  #start(job) {
    this.running.add(job);
    const worker = (job.worker = this.idle.pop() ?? new Worker(WORKER, { type: "module" }));
    worker.onmessage = ({ data }) => {
      if (data.total !== undefined) {
        job.progress(data.total ? data.done / data.total : 0);
        return;
      }
      this.idle.push(worker);
      this.#end(job);
      if (data.digests) job.resolve(data);
      else job.reject(new Error(data.error));
    };
    worker.onerror = () => {
      worker.terminate();
      this.#end(job);
      job.reject(new Error("worker"));
    };
    worker.postMessage({ file: job.file, algorithms: job.algorithms });
  }

  #end(job) {
    this.running.delete(job);
    this.#go();
  }

  #cancel(job) {
    if (this.running.has(job)) {
      job.worker.terminate(); // at once, in the middle of a gigabyte
      this.#end(job);
    }
    this.waiting = this.waiting.filter((one) => one !== job);
    job.reject(aborted());
  }
}

const aborted = () => new DOMException("cancelled", "AbortError");

/** One for the whole page. */
export const pool = new Pool();

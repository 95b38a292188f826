/**
 * Looks for a slip's code in files that came as documents: in a thread of its own, one file after
 * the other, and not for long, since customers bring what they like.
 */

const WORKER = "/page/js/verify/scanner.js";
/** Bytes of the largest file that is looked at. */
const MAX_FILE = 16 << 20;
/** Milliseconds after which a picture counts as one without a code. */
const LONGEST = 8000;
const TYPES = /^(image\/(png|jpeg)|application\/pdf)$/;
const NAMES = /\.(png|jpe?g|pdf)$/i;

let last = Promise.resolve();

/** Whether it is worth a look. @param {File} file */
export const mayCarrySlip = (file) => file.size <= MAX_FILE && (TYPES.test(file.type) || NAMES.test(file.name));

/**
 * The slip in a picture or PDF.
 * @param {File} file
 * @param {AbortSignal} signal ends it
 * @returns {Promise<{proof?: string, malformed?: boolean}>} the text of the proof that it stands
 *   for; `malformed` where there is a code of a slip that could not be read; else nothing
 * @throws {DOMException} `AbortError`
 */
export function seek(file, signal) {
  const found = last.then(() => look(file, signal));
  last = found.catch(() => {});
  return found;
}

function look(file, signal) {
  signal.throwIfAborted();
  const worker = new Worker(WORKER, { type: "module" });
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    setTimeout(resolve, LONGEST, {});
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = () => resolve({});
    worker.postMessage(file);
  }).finally(() => worker.terminate());
}

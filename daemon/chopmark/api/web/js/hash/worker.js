/**
 * Hashes files, in a thread of its own. Bytes come in from the disk and digests go out: there is no
 * network here.
 *
 * In: `{file, algorithms}`. Out: `{done, total}` now and then, then `{digests, seconds}`, or
 * `{error}`.
 */

/** Bytes up to which WebCrypto is used, which wants a file as a whole. */
const WHOLE = 256 * 1024 * 1024;
const CHUNK = 4 * 1024 * 1024;
/** Milliseconds between two words of progress. */
const PAUSE = 80;

self.onmessage = async ({ data: { file, algorithms } }) => {
  const begun = performance.now();
  try {
    const digests = await digest(file, algorithms);
    self.postMessage({ digests, seconds: (performance.now() - begun) / 1000 });
  } catch (error) {
    self.postMessage({ error: String(error?.name ?? error) });
  }
};

async function digest(file, algorithms) {
  if (file.size <= WHOLE && algorithms.length === 1 && algorithms[0] === "sha256") {
    return { sha256: await whole(file) };
  }
  return stream(file, algorithms);
}

async function whole(file) {
  const bytes = await file.arrayBuffer();
  self.postMessage({ done: file.size / 2, total: file.size });
  return hex(await crypto.subtle.digest("SHA-256", bytes));
}

async function stream(file, algorithms) {
  const wasm = await import("/page/vendor/hash-wasm.js");
  const makers = { sha256: wasm.createSHA256, sm3: wasm.createSM3 };
  const hashers = await Promise.all(algorithms.map((one) => makers[one]()));
  for (const one of hashers) one.init();
  let told = 0;
  let next = read(file, 0);
  for (let at = 0; at < file.size; at += CHUNK) {
    const bytes = new Uint8Array(await next);
    next = at + CHUNK < file.size ? read(file, at + CHUNK) : null; // while this one is hashed
    for (const one of hashers) one.update(bytes);
    if (performance.now() - told > PAUSE) {
      told = performance.now();
      self.postMessage({ done: at + bytes.length, total: file.size });
    }
  }
  return Object.fromEntries(algorithms.map((name, at) => [name, hashers[at].digest("hex")]));
}

const read = (file, at) => file.slice(at, at + CHUNK).arrayBuffer();

function hex(buffer) {
  return Array.from(new Uint8Array(buffer), (one) => one.toString(16).padStart(2, "0")).join("");
}

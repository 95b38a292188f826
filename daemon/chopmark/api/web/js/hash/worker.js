/**
 * Hashes files, in a thread of its own. Bytes come in from the disk and digests go out: there is no
 * network here.
 *
 * In: `{file, algorithms}`. Out: `{done, total}` now and then, then `{digests, seconds}`, or
 * `{error}`.
 */

/** Bytes up to which WebCrypto is used, which wants a file as a whole. */
const WHOLE = 256 * 1024 * 1024;
const PIECE = 2 * 1024 * 1024;
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
  // Of a file that went away, or was changed, streams say no more than that the network failed.
  const failed = () => { throw new DOMException("it cannot be read", "NotReadableError"); };
  const next = reading(file.stream());
  const read = () => next().catch(failed);
  let told = 0, done = 0;
  for (let piece = await read(); piece; piece = await read()) {
    for (const one of hashers) one.update(piece);
    done += piece.length;
    if (performance.now() - told > PAUSE) {
      told = performance.now();
      self.postMessage({ done, total: file.size });
    }
  }
  if (done !== file.size) failed();
  return Object.fromEntries(algorithms.map((name, at) => [name, hashers[at].digest("hex")]));
}

/**
 * What gives the next piece of a stream, and nothing at its end. The browser reads ahead meanwhile.
 * Where it can it fills the same memory again and again: fresh memory for each piece takes longer
 * than reading does.
 */
function reading(stream) {
  let reader;
  try {
    reader = stream.getReader({ mode: "byob" });
  } catch { // Safari's streams of files give memory of their own
    reader = stream.getReader();
    return async () => (await reader.read()).value;
  }
  let buffer = new ArrayBuffer(PIECE);
  return async () => {
    const { value, done } = await reader.read(new Uint8Array(buffer));
    if (done) return undefined;
    buffer = value.buffer;
    return value;
  };
}

function hex(buffer) {
  return Array.from(new Uint8Array(buffer), (one) => one.toString(16).padStart(2, "0")).join("");
}

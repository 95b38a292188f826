// Hashing a file piece by piece, in memory that does not grow with it. Reading each piece is a turn
// of the event loop, so the page stays awake without a worker.

import { createSHA256, createSM3 } from "../../vendor/hash-wasm.js";

const MAKERS = { sha256: createSHA256, sm3: createSM3 };
const PIECE = 1024 * 1024;

/**
 * Digests of a file.
 * @param {Blob} file
 * @param {string[]} algorithms of `sha256`, `sm3`
 * @param {(part: number) => void} progress told the share that is done, 0 to 1
 * @returns {Promise<Record<string, Uint8Array>>} 32 bytes each
 * @throws {DOMException} if the file cannot be read, or has changed since it was chosen
 */
export async function hashFile(file, algorithms, progress) {
  const hashers = await Promise.all(algorithms.map((name) => MAKERS[name]()));
  for (const hasher of hashers) hasher.init();
  let next = readPiece(file, 0);
  for (let at = 0; at < file.size; at += PIECE) {
    const piece = new Uint8Array(await next);
    next = readPiece(file, at + PIECE); // while this one is hashed
    for (const hasher of hashers) hasher.update(piece);
    progress((at + piece.length) / file.size);
  }
  await next;
  return Object.fromEntries(algorithms.map((name, at) => [name, hashers[at].digest("binary")]));
}

const readPiece = (file, at) => file.slice(at, at + PIECE).arrayBuffer();

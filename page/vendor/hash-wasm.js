// SHA-256 and SM3 in WebAssembly, fed piece by piece: for documents.
export { createSHA256, createSM3 } from "hash-wasm";

// Checking signatures, and hashing small things at once.
export { ed25519 } from "@noble/curves/ed25519.js";
export { p256 } from "@noble/curves/nist.js";
export { hmac } from "@noble/hashes/hmac.js";
export { sha256 } from "@noble/hashes/sha2.js";

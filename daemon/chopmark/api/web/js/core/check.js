// Checks one document against one proof: digests, blinding, signatures, quorum (core/check.py).

import { equal } from "./bytes.js";
import { blindAll } from "./blinding.js";
import { parseEntry } from "./entry.js";
import { MalformedError, RefusedError } from "./errors.js";
import { NONE } from "./policy.js";
import { verifyProof } from "./proof.js";

const DEFAULT_MAX_AGE = 24n * 3600n;

/**
 * Digests of one document, 32 bytes each.
 * @typedef {object} Digests
 * @property {Uint8Array} sha256
 * @property {Uint8Array | null} [sm3]
 * @property {[string, Uint8Array][]} [canonical] by name and version
 */

/**
 * How a document compares with an attestation: all digests that it names must match.
 * @param {object} entry an attestation
 * @param {Digests | null} digests null if there is no document
 * @param {string} origin of the log
 * @param {Uint8Array | null} salt of a blinded one
 * @returns {import("./verdict.js").Facts["match"]}
 */
export function compare(entry, digests, origin, salt = null) {
  if (digests === null) return "no-document";
  if (entry.blinded && salt === null) return "blinded";
  const given = entry.blinded ? blindAll(digests, origin, salt) : digests;
  if (!equal(entry.sha256, given.sha256)) return saysTheSame(entry, given) ? "resaved" : "differs";
  if (entry.sm3 === null) return "all";
  if (!given.sm3) return "missing";
  return equal(entry.sm3, given.sm3) ? "all" : "differs";
}

/** The attestation in an entry, or the problem that keeps it from being one. */
export function readAttestation(data) {
  let entry;
  try {
    entry = parseEntry(data);
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    return { entry: null, problem: problemOf(error) };
  }
  if (entry.type === "attestation") return { entry, problem: null };
  const known = entry.type !== "unknown-format";
  const message = known ? "the entry is no attestation" : "the entry is of a format not known here";
  return { entry: null, problem: { code: known ? "no-attestation" : "unknown-format", message } };
}

/**
 * What a proof tells by itself. One that fails its checks gives facts with a problem, not an error.
 * @param {ReturnType<typeof import("./proof.js").parseProof>} proof
 * @param {import("./policy.js").Policy} policy
 * @param {Digests | null} digests
 * @param {import("./verdict.js").Facts["issuer"]} issuer whose log it is
 * @returns {{facts: import("./verdict.js").Facts, proven: ReturnType<typeof verifyProof> | null}}
 * @throws {MalformedError} if the proof cannot be read at all
 */
export function factsFromProof(proof, policy, digests, issuer) {
  const unproven = beginFacts(issuer, proof.index);
  let proven;
  try {
    proven = verifyProof(proof, policy);
  } catch (error) {
    if (!(error instanceof RefusedError)) throw error;
    return { facts: { ...unproven, problem: problemOf(error) }, proven: null };
  }
  const { entry, problem } = readAttestation(proven.extra.entry);
  if (entry === null) return { facts: { ...unproven, problem }, proven };
  const match = compare(entry, digests, issuer.origin, proven.extra.salt);
  return { facts: withWitnesses({ ...unproven, entry, match }, proven, policy), proven };
}

/** Facts about an attestation of which nothing is known yet. @returns {import("./verdict.js").Facts} */
export const beginFacts = (issuer, index) => ({
  issuer,
  index,
  entry: null,
  match: "no-document",
  problem: null,
  warning: null,
  revoked: null,
  supersededBy: null,
  quorum: "none",
  notaries: null,
  existedBy: null,
  witnesses: [],
  dropped: [],
  asOf: null,
  maxAge: DEFAULT_MAX_AGE,
});

/** What a failed check is called in facts. */
export const problemOf = ({ code, message }) => ({ code, message });

function withWitnesses(facts, proven, policy) {
  const { kind } = facts.entry;
  const full = policy.forKind(kind);
  const { verified } = proven.head;
  const notarised = full.isSatisfied(verified.map(({ key }) => key));
  const lacking = proven.quorum && !notarised;
  return {
    ...facts,
    quorum: !notarised ? "missing" : full.quorum === NONE ? "none" : "reached",
    notaries: lacking ? policy.describeNotaries(kind) : null,
    existedBy: proven.existedBy === null ? null : proven.existedBy * 1000n,
    witnesses: verified
      .filter(({ time }) => time !== 0n)
      .map(({ key, time }) => ({ name: key.name, time: time * 1000n })),
  };
}

/** Whether the canonical digests agree that both sides have, and there is one. */
function saysTheSame(entry, digests) {
  const given = new Map(digests.canonical ?? []);
  const common = entry.canonical.filter(([name]) => given.has(name));
  return common.length > 0 && common.every(([name, digest]) => equal(given.get(name), digest));
}

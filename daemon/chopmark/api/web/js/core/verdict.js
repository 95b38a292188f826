// The words of docs/verdicts.md, and from facts to a verdict: the rules of core/judge.py for one
// attestation, in their order.

/** Of several files the first of these decides; of several attestations of one document the last. */
export const WORST_FIRST = [
  "untrusted",
  "mismatch",
  "revoked",
  "superseded",
  "expired",
  "unknown",
  "ambiguous",
  "unwitnessed",
  "attestation-only",
  "valid-as-of",
  "valid",
];

/** Ways in which a document compares with an attestation that make it a mismatch. */
const MISMATCHED = ["differs", "resaved", "missing", "blinded"];
/** Milliseconds by which an issuer's clock may be ahead of ours. */
const SKEW = 60_000n;

/**
 * All that is known about one attestation; times in ms since the Unix epoch, as bigints.
 * @typedef {object} Facts
 * @property {{id: string, origin: string, institution: string, jurisdiction: string,
 *   successor: string | null}} issuer
 * @property {bigint} index
 * @property {object | null} entry the attestation (`parseEntry`), or null where it cannot be read
 * @property {"all" | "differs" | "resaved" | "missing" | "no-document" | "blinded"} match
 * @property {{code: string, message: string} | null} problem the failed check
 * @property {{code: string} | null} warning what the reader must know though no check failed
 * @property {object | null} revoked
 * @property {bigint | null} supersededBy
 * @property {"none" | "reached" | "missing"} quorum
 * @property {{threshold: number, names: string[]} | null} notaries if nothing but they is missing
 * @property {bigint | null} existedBy time by which the quorum had cosigned
 * @property {{name: string, time: bigint}[]} witnesses who cosigned, and when
 * @property {string[]} dropped groups of the policy that leaving out the issuer has emptied
 * @property {bigint | null} asOf time up to which revocation was checked; null without a replica
 * @property {bigint} maxAge seconds for which an answer about this kind is fresh
 */

/**
 * What the caller asks besides the digests.
 * @typedef {object} Question
 * @property {bigint} now time of asking (ms)
 * @property {string | null} [expectIssuer] institution, member id or origin
 * @property {string | null} [expectKind]
 * @property {bigint | null} [maxAge] seconds; can only shorten what the kind allows
 */

/**
 * The verdict about one attestation that a proof points at.
 * @param {Facts} facts
 * @param {Question} question
 * @returns {string} the word
 */
export function judge(facts, question) {
  const { entry } = facts;
  if (facts.problem !== null || entry === null) return "untrusted";
  if (MISMATCHED.includes(facts.match) || !isExpected(facts, question)) return "mismatch";
  if (facts.revoked !== null) return "revoked";
  if (facts.supersededBy !== null) return "superseded";
  if (entry.validUntil !== null && entry.validUntil < question.now) return "expired";
  if (facts.quorum === "missing") return "unwitnessed";
  if (facts.match === "no-document") return "attestation-only";
  return isFresh(facts, question) ? "valid" : "valid-as-of";
}

/** Of several files' words the one that decides. */
export const worst = (words) => WORST_FIRST.find((word) => words.includes(word));

function isFresh({ asOf, maxAge }, question) {
  if (asOf === null) return false;
  const given = question.maxAge ?? maxAge;
  const age = question.now - asOf;
  return age >= -SKEW && age <= (given < maxAge ? given : maxAge) * 1000n;
}

function isExpected({ issuer, entry }, { expectIssuer = null, expectKind = null }) {
  const names = [issuer.institution, issuer.id, issuer.origin];
  if (expectIssuer !== null && !names.includes(expectIssuer)) return false;
  return expectKind === null || entry === null || entry.kind === expectKind;
}

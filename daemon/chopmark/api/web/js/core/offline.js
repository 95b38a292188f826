// Verdicts with nothing but the document and its proof, by a policy (as client/offline.py), or by
// what a gateway has sealed into the offline verifier: its roster, and the policy of each log.
//
// Without a replica nobody knows of revocations, so the best answer is `valid-as-of`.

import { utf8 } from "./bytes.js";
import { beginFacts, factsFromProof, problemOf } from "./check.js";
import { ChopmarkError, RefusedError } from "./errors.js";
import { parsePolicy } from "./policy.js";
import { parseProof } from "./proof.js";
import { droppedGroups, findBreach, openRoster } from "./roster.js";
import { judge } from "./verdict.js";

const FORKED = { code: "log-forked", message: "the log has signed two histories" };

/**
 * The answer about one proof.
 * @typedef {object} Answer
 * @property {string} word of docs/verdicts.md
 * @property {import("./verdict.js").Facts} facts
 * @property {ReturnType<typeof import("./proof.js").verifyProof> | null} proven
 */

/**
 * The verdict by a policy alone; the issuer is known by its origin only.
 * @param {import("./check.js").Digests | null} digests
 * @param {Uint8Array} proof bytes of the proof file
 * @param {Uint8Array} policy bytes of the policy file
 * @param {import("./verdict.js").Question} question the issuer that is expected is an origin
 * @returns {Answer}
 * @throws {MalformedError} `malformed-proof`, `malformed-policy` and the codes of their parts
 * @throws {ChopmarkError} `unknown-issuer` if the policy does not name the expected one
 */
export function verifyByPolicy(digests, proof, policy, question) {
  const trusted = parsePolicy(policy);
  const parsed = parseProof(proof);
  const expected = question.expectIssuer ?? null;
  if (expected !== null && !trusted.logs.some((key) => key.name === expected)) {
    throw new ChopmarkError("unknown-issuer", `the policy has no log of the issuer ${expected}`);
  }
  const found = factsFromProof(parsed, trusted, digests, stranger(parsed.checkpoint.origin));
  return { word: judge(found.facts, question), ...found };
}

/**
 * What a gateway has sealed in.
 * @param {object} sealed as `chopmark export-verifier` writes it
 * @param {string} sealed.roster the note
 * @param {Record<string, string>} sealed.policies by origin
 * @param {string[]} sealed.suspended ids of members that their emergency keys have suspended
 * @param {Record<string, {below: number, found_at: string | null}>} [sealed.forked] by origin, logs
 *   that have signed two histories: which size lies below both, and when that was found
 * @throws {MalformedError} what `openRoster` and `parsePolicy` raise
 */
export function openSeal({ roster: note, policies, suspended, forked = {} }) {
  const { roster, members, fingerprint } = openRoster(utf8(note));
  const ended = new Map(members.flatMap((member) => [...member.endedCosigners]));
  for (const member of members) {
    if (member.state === "active" && suspended.includes(member.id)) member.state = "suspended";
  }
  const read = Object.entries(policies).map(([origin, policy]) => [
    origin,
    parsePolicy(utf8(policy)).withEnded(ended),
  ]);
  const forks = Object.entries(forked).map(([origin, { below, found_at: found }]) => [
    origin,
    { below: BigInt(below), foundAt: found === null ? null : BigInt(Date.parse(found)) },
  ]);
  return { roster, members, fingerprint, policies: new Map(read), forks: new Map(forks) };
}

/**
 * The verdict by the roster and the policies that were sealed in.
 * @param {import("./check.js").Digests | null} digests
 * @param {ReturnType<typeof parseProof>} proof
 * @param {ReturnType<typeof openSeal>} seal
 * @param {import("./verdict.js").Question} question
 * @returns {Answer}
 * @throws {MalformedError} if the proof's `extra` cannot be read
 */
export function verifyBySeal(digests, proof, seal, question) {
  const found = findFacts(digests, proof, seal);
  return { word: judge(found.facts, question), ...found };
}

function findFacts(digests, proof, { roster, members, policies, forks }) {
  const { origin } = proof.checkpoint;
  const member = members.find((one) => one.origin === origin);
  const policy = policies.get(origin);
  if (member === undefined || policy === undefined) {
    const problem = { code: "unknown-log", message: `the log ${origin} belongs to no member` };
    return { facts: { ...beginFacts(stranger(origin), proof.index), problem }, proven: null };
  }
  const found = factsFromProof(proof, policy, digests, member.issuer);
  const { entry } = found.facts;
  if (entry === null) return found;
  const dropped = droppedGroups(roster, members, member);
  const fork = forks.get(origin);
  const problem =
    found.facts.problem ??
    headProblem(member, proof) ??
    (fork === undefined || isBefore(fork, found) ? kindProblem(member, entry.kind) : FORKED);
  const warned = fork === undefined ? findBreach(roster, entry) : { code: FORKED.code, kind: entry.kind };
  const warning = problem === null ? warned : null;
  return { ...found, facts: { ...found.facts, dropped, problem, warning } };
}

/**
 * Whether a head that a quorum had cosigned lies below both histories, and was there before the fork
 * was found (docs/verdicts.md, Forks): of more nobody can be sure without a replica.
 */
function isBefore({ below, foundAt }, { facts, proven }) {
  const { existedBy } = facts;
  const isEarly = existedBy !== null && (foundAt === null || existedBy <= foundAt);
  return isEarly && proven.head.checkpoint.size < below;
}

function headProblem(member, proof) {
  try {
    member.checkHead(proof);
  } catch (error) {
    if (!(error instanceof RefusedError)) throw error;
    return problemOf(error);
  }
  return null;
}

function kindProblem(member, kind) {
  if (member.mayIssue(kind)) return null;
  const message = `${member.institution} is not entitled to attest the kind ${kind}`;
  return { code: "not-entitled", message };
}

const stranger = (origin) => ({ id: origin, origin, institution: origin, jurisdiction: "", successor: null });

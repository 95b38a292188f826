// The roster: who is a member, by which keys, and what each may issue; docs/formats/roster.md.
//
// It is read as strictly as by a gateway, and what a judgement rests on is checked: names, keys,
// last heads. Its other rules and its signatures are not checked again: it comes from a gateway that
// has, and whoever gets it from there compares its fingerprint.

import { equal, isPrintable, parseHash, utf8 } from "./bytes.js";
import { checkOrigin, openCheckpoint } from "./checkpoint.js";
import { MalformedError, RefusedError } from "./errors.js";
import { fingerprint } from "./fingerprint.js";
import { identify, parseVkey } from "./keys.js";
import { MAX_NOTE, parseNote } from "./note.js";
import { flag, integer, integerOr, oneOf, parseToml, table, tables, text, texts, time } from "./toml.js";

const HEADER = "chopmark/roster/v1\n";
const ANY_KIND = "*";
/** What follows the name of a member's first cosigner key in those of its others. */
const NUMBERED = /^-(?:[2-9]|[1-9][0-9]+)$/;
/** Ms between the check of a draft and its entry's time, which may be rounded to the minute. */
const SLACK = 120_000n;

const KEY = [
  ["vkey", text],
  ["state", oneOf("active", "retired", "compromised"), "active"],
  ["last_size", integer, null],
  ["last_root", text, null],
  ["since", time, null],
];
const MEMBER = [
  ["id", text],
  ["origin", text],
  ["institution", text],
  ["role", oneOf("gateway", "notary"), "gateway"],
  ["state", oneOf("active", "suspended", "left"), "active"],
  ["successor", text, null],
  ["kinds", texts],
  ["tls", text, null],
  ["chain", text, null],
  ["emergency", text, null],
  ["log_key", tables(KEY)],
  ["cosigner_key", tables(KEY)],
];
const KIND = [
  ["name", text],
  ["max_age", integer, null],
  ["validity", integer, null],
  ["blinded", flag, false],
  ["digests", texts, ["sha256"]],
  ["notary", table([["institutions", texts], ["threshold", integer]]), null],
];
const SCENARIO = [
  ["name", text],
  ["title", text, null],
  ["kinds", texts],
  ["issuers", texts],
  ["receivers", texts],
  ["purposes", texts],
  ["consent", flag, true],
  ["validity", integer, null],
];
const GROUP = [["jurisdictions", texts], ["threshold", integerOr("majority")]];
const ROSTER = [
  ["version", integer],
  ["previous", text, null],
  ["issued", time],
  ["expires", time],
  ["threshold", integer],
  ["witness", table([["group", tables(GROUP)]]), null],
  ["kind", tables(KIND), []],
  ["scenario", tables(SCENARIO), []],
  ["officer", tables([["name", text], ["institution", text], ["certificate", text]]), []],
  ["institution", tables([["id", text], ["name", text], ["jurisdiction", text]])],
  ["member", tables(MEMBER)],
];

/**
 * Read the text of a roster.
 *
 * The answer has the fields of the text by their names there; numbers and times (ms) are bigints.
 * @param {string} content first line included
 * @throws {MalformedError} `malformed-roster`
 */
export function parseRoster(content) {
  if (!content.startsWith(HEADER) || utf8(content).length > MAX_NOTE) {
    throw new MalformedError("malformed-roster", "not a roster, or one that is too large");
  }
  return parseToml(content.slice(HEADER.length), ROSTER);
}

/**
 * Read the note of a roster; its signatures are not checked.
 * @param {Uint8Array} note
 * @returns {{roster: ReturnType<typeof parseRoster>, members: Member[],
 *   fingerprint: {hex: string, words: string}}}
 * @throws {MalformedError} `malformed-note`, `malformed-roster`, `bad-roster`
 */
export function openRoster(note) {
  const content = parseNote(note).text;
  const roster = parseRoster(content);
  return { roster, members: readMembers(roster), fingerprint: fingerprint(utf8(content)) };
}

/** A gateway, as a judgement sees it. */
export class Member {
  constructor(listed, institution, successor) {
    this.id = listed.id;
    this.origin = listed.origin;
    this.institution = institution.name;
    this.jurisdiction = institution.jurisdiction;
    this.state = listed.state;
    this.successor = successor;
    this.kinds = new Set(listed.kinds);
    this.logKeys = listed.log_key.map((one) => readKey(one, listed.origin));
    /** The keys that cosign for it now; without any, the last one listed stands in. */
    this.cosignerKeys = signingOf(listed.cosigner_key);
    this.endedCosigners = new Map(endedOf(listed.cosigner_key));
    /** By identity the largest head that a log key vouches for which has ended. */
    this.lastHeads = new Map(listed.log_key.filter(hasEnded).map(readLastHead));
  }

  /** Whose log it is, as verdicts name it. @returns {import("./verdict.js").Facts["issuer"]} */
  get issuer() {
    const { id, origin, institution, jurisdiction, successor } = this;
    return { id, origin, institution, jurisdiction, successor };
  }

  /** Whether a key of this name cosigns for it: `/cosigner`, or `/cosigner-2` and so on. */
  isCosigner(name) {
    const plain = `${this.origin}/cosigner`;
    return name === plain || (name.startsWith(plain) && NUMBERED.test(name.slice(plain.length)));
  }

  /** Whether this member is entitled to attest documents of a kind. */
  mayIssue(kind) {
    return this.kinds.has(kind) || this.kinds.has(ANY_KIND);
  }

  /**
   * Refuse a head unless a key has signed it that may sign it.
   * @param {ReturnType<typeof import("./proof.js").parseProof>} proof
   * @throws {RefusedError} `bad-signature`, `no-known-signature`; `past-key` if only a key has
   *   signed that signs no more, and the head lies beyond what it vouches for; `member-suspended`
   */
  checkHead({ note, checkpoint }) {
    const lines = parseNote(note).signatures;
    const signers = new Set(lines.map(({ name, id }) => identify(name, id)));
    const signing = this.logKeys.filter((key) => signers.has(key.identity));
    const [first, ...more] = signing.length > 0 ? signing : this.logKeys;
    openCheckpoint(note, first, [...more, ...this.cosignerKeys]);
    if (signing.some((key) => this.#maySign(key, checkpoint))) return;
    if (this.state !== "active") {
      throw new RefusedError("member-suspended", `${this.origin} is ${this.state}`);
    }
    const message = `a head of ${this.origin} at ${checkpoint.size} by a key that may not sign it any more`;
    throw new RefusedError("past-key", message);
  }

  #maySign(key, { size, root }) {
    const last = this.lastHeads.get(key.identity);
    if (last === undefined) return this.state === "active";
    return size < last.size || (size === last.size && equal(root, last.root));
  }
}

/** The names of the mandatory groups that leaving out an issuer's institution empties. */
export function droppedGroups(roster, members, issuer) {
  const voters = members.filter((one) => one.state === "active" && one.institution !== issuer.institution);
  if (voters.length === 0) return [];
  const places = [...new Set([issuer, ...voters].map((one) => one.jurisdiction))].sort();
  const groups = roster.witness?.group.map((one) => one.jurisdictions) ?? places.map((one) => [one]);
  return groups
    .filter((group) => !voters.some((one) => group.includes(one.jurisdiction)))
    .map((group) => [...group].sort().join("+"));
}

/**
 * The first rule of the catalogue that an attestation breaks (core/demands.py).
 * @returns {{code: string, kind: string, digest?: string, days?: number} | null}
 */
export function findBreach(roster, entry) {
  if (roster.kind.length === 0) return null;
  const kind = roster.kind.find((one) => one.name === entry.kind);
  if (kind === undefined) return { code: "kind-not-in-catalogue", kind: entry.kind };
  if (kind.blinded && !entry.blinded) return { code: "not-blinded", kind: kind.name };
  const named = ["sha256", ...(entry.sm3 ? ["sm3"] : []), ...entry.canonical.map(([name]) => name)];
  const missing = kind.digests.find((name) => !named.includes(name));
  if (missing !== undefined) return { code: "digest-missing", kind: kind.name, digest: missing };
  if (kind.validity === null) return null;
  const latest = entry.madeAt + 1000n * kind.validity + SLACK;
  if (entry.validUntil !== null && entry.validUntil <= latest) return null;
  return { code: "validity-too-long", kind: kind.name, days: Number(kind.validity) / 86_400 };
}

function readMembers(roster) {
  const institutions = new Map(roster.institution.map((one) => [one.id, one]));
  const origins = new Map(roster.member.map((one) => [one.id, one.origin]));
  demand(institutions.size === roster.institution.length, "an institution occurs twice");
  demand(origins.size === roster.member.length, "a member occurs twice");
  demand(new Set(origins.values()).size === origins.size, "an origin occurs twice");
  demand([...institutions.values()].every(({ name }) => isPrintable(name)), "a name cannot be shown");
  return roster.member.map((listed) => {
    checkOrigin(listed.origin);
    demand(institutions.has(listed.institution), `${listed.id} has no institution`);
    demand(listed.log_key.length > 0, `${listed.id} has no log key`);
    const successor = listed.successor === null ? null : origins.get(listed.successor);
    return new Member(listed, institutions.get(listed.institution), successor ?? null);
  });
}

const hasEnded = ({ state }) => state !== "active";

function signingOf(listed) {
  const active = listed.filter((one) => !hasEnded(one));
  return (active.length > 0 ? active : listed.slice(-1)).map(({ vkey }) => parseVkey(vkey));
}

/** Of cosigner keys that have retired: identity, and since when (seconds). */
const endedOf = (listed) =>
  listed
    .filter(({ state, since }) => state === "retired" && since !== null)
    .map(({ vkey, since }) => [parseVkey(vkey).identity, since / 1000n]);

function readKey({ vkey }, origin) {
  const key = parseVkey(vkey);
  demand(key.name === origin, `a log key is not named ${origin}`);
  return key;
}

function readLastHead({ vkey, last_size: size, last_root: root }) {
  demand(size !== null && root !== null, "a key that has ended has no last head");
  return [parseVkey(vkey).identity, { size, root: parseHash(root, "last_root") }];
}

function demand(condition, otherwise) {
  if (!condition) throw new RefusedError("bad-roster", `the roster breaks a rule: ${otherwise}`);
}

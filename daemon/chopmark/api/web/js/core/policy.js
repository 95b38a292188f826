// Trust policies (C2SP tlog-policy): which logs, which witnesses, and what quorum of them;
// docs/formats/policy.md. Names are opaque octets: here each octet is one character.

import { fromLatin1, parseDecimal, parseUtf8, toLatin1 } from "./bytes.js";
import { KIND } from "./entry.js";
import { MalformedError } from "./errors.js";
import { parseVkey } from "./keys.js";

/** Bytes of the largest policy. */
export const MAX_POLICY = 64 * 1024;
/** As a quorum: nobody is demanded. */
export const NONE = "none";

const NOTARY_LINE = "# chopmark/notary/v1";
const ALLOWED = /^[\t\n\x20-\x7e\x80-\xff]*$/;
const [NOTARIES, BOTH] = ["notaries of the kind", "quorum and notaries"]; // no policy names a group so

/** A parsed policy. */
export class Policy {
  /**
   * @param {object} parts
   * @param {import("./keys.js").VerifierKey[]} parts.logs a key's name is the log's origin
   * @param {Map<string, import("./keys.js").VerifierKey>} parts.witnesses by name in the policy
   * @param {Map<string, [bigint, string[]]>} parts.groups threshold and members by name
   * @param {string} parts.quorum name of the witness or group that must have cosigned, or `none`
   * @param {Map<string, [bigint, string[]]>} parts.notaries by kind, how many of whom besides
   * @param {Map<string, bigint>} parts.ended by a key's identity, the time (seconds) after which
   *   its cosignatures count no more; the text has no place for them
   */
  constructor({ logs, witnesses, groups, quorum, notaries, ended = new Map() }) {
    Object.assign(this, { logs, witnesses, groups, quorum, notaries, ended });
  }

  /** The policy with the times after which some keys' cosignatures count no more. */
  withEnded(ended) {
    return new Policy({ ...this, ended });
  }

  /** The policy for documents of a kind: with its notaries besides the quorum, if it has any. */
  forKind(kind) {
    if (!this.notaries.has(kind)) return this;
    const groups = new Map(this.groups).set(NOTARIES, this.notaries.get(kind));
    if (this.quorum !== NONE) groups.set(BOTH, [2n, [this.quorum, NOTARIES]]);
    const quorum = this.quorum === NONE ? NOTARIES : BOTH;
    return new Policy({ ...this, groups, quorum, notaries: new Map() });
  }

  /** How many notaries a kind needs, and their names, for people. */
  describeNotaries(kind) {
    const [threshold, names] = this.notaries.get(kind);
    const shown = names.map((name) => show(name).replace(/\/cosigner$/, ""));
    return { threshold: Number(threshold), names: shown };
  }

  /** Whether these keys' cosignatures are the quorum. */
  isSatisfied(cosigners) {
    const present = new Set(Array.from(cosigners, (key) => key.identity));
    const named = [...this.witnesses].filter(([, key]) => present.has(key.identity));
    const met = new Set(named.map(([name]) => name));
    for (const [name, [threshold, members]] of this.groups) {
      if (members.filter((member) => met.has(member)).length >= threshold) met.add(name);
    }
    return this.quorum === NONE || met.has(this.quorum);
  }

  /** The signatures that count: all but cosignatures dated after their key had ended. */
  counting(verified) {
    return verified.filter(({ key, time }) => time <= (this.ended.get(key.identity) ?? time));
  }

  /** The earliest time (seconds) by which the quorum had cosigned; null without. */
  existedBy(verified) {
    if (this.quorum === NONE) return null;
    const witnesses = new Set(Array.from(this.witnesses.values(), (key) => key.identity));
    const cosigned = this.counting(verified).filter(({ key }) => witnesses.has(key.identity));
    cosigned.sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0));
    const seen = [];
    for (const { key, time } of cosigned) {
      seen.push(key);
      if (this.isSatisfied(seen)) return time;
    }
    return null;
  }
}

/**
 * Read a policy file.
 * @param {Uint8Array} data
 * @returns {Policy}
 * @throws {MalformedError} `malformed-policy`, with the line
 */
export function parsePolicy(data) {
  const text = data.length > MAX_POLICY ? null : toLatin1(data);
  if (text === null || !ALLOWED.test(text)) {
    throw malformed("a policy is too large or has control characters");
  }
  if (text !== "" && !text.endsWith("\n")) {
    throw malformed("the last line of a policy does not end");
  }
  const builder = new Builder();
  for (const [number, line] of text.split("\n").entries()) {
    try {
      builder.read(line.split(/[ \t]/).filter((word) => word !== ""));
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error;
      throw malformed(`policy line ${number + 1}: ${error.message}`);
    }
  }
  if (builder.quorum === null) throw malformed("a policy has no quorum line");
  return new Policy(builder);
}

/** Reads lines in order; a name can only be used after the line that defines it. */
class Builder {
  logs = [];
  witnesses = new Map();
  groups = new Map();
  notaries = new Map();
  quorum = null;
  #used = new Set();

  read(words) {
    if (`${words[0]} ${words[1]}` === NOTARY_LINE) return this.#addNotaries(words.slice(2));
    const [first, ...rest] = words;
    if (first === undefined || first.startsWith("#")) return undefined;
    switch (first) {
      case "log":
        return this.#addLog(rest);
      case "witness":
        return this.#addWitness(rest);
      case "group":
        return this.#addGroup(rest);
      case "quorum":
        return this.#setQuorum(rest);
      default:
        throw malformed("expected log, witness, group or quorum");
    }
  }

  #addLog(words) {
    demand([1, 2].includes(words.length), "log <vkey> [<url>]");
    const key = readVkey(words[0]);
    demand(!key.isCosigner, "a log whose key signs checkpoints");
    demand(isNew(key, this.logs), "each log once");
    this.logs.push(key);
  }

  #addWitness(words) {
    demand([2, 3].includes(words.length), "witness <name> <vkey> [<url>]");
    const key = readVkey(words[1]);
    demand(key.isCosigner, "a cosigner key (type 0x04, or ours)");
    demand(isNew(key, this.witnesses.values()), "each witness once");
    this.witnesses.set(this.#newName(words[0]), key);
  }

  #addGroup(words) {
    demand(words.length >= 3, "group <name> all|any|<k> <name>...");
    const [name, given, ...members] = words;
    for (const member of members) this.#use(member);
    const threshold = readThreshold(given, members.length);
    demand(threshold >= 1n && threshold <= members.length, `a threshold of 1 to ${members.length}`);
    this.groups.set(this.#newName(name), [threshold, members]);
  }

  #addNotaries(words) {
    demand(words.length >= 2, `${NOTARY_LINE} <kind> <k> <name>...`);
    const [kind, given, ...names] = words;
    demand(KIND.test(kind), "a kind");
    demand(!this.notaries.has(kind), `the notaries of ${kind} once`);
    demand(names.every((name) => this.#isDefined(name)), "notaries defined before they are used");
    demand(new Set(names).size === names.length, "each notary once");
    // More than there are is no fault: then nobody can be trusted with this kind now.
    const threshold = parseDecimal(given, "the number of notaries");
    demand(threshold >= 1n, "1 notary or more");
    this.notaries.set(kind, [threshold, names]);
  }

  #setQuorum(words) {
    demand(words.length === 1 && this.quorum === null, "one line quorum <name>|none");
    demand(words[0] === NONE || this.#isDefined(words[0]), "a quorum defined before");
    [this.quorum] = words;
  }

  #isDefined(name) {
    return this.witnesses.has(name) || this.groups.has(name);
  }

  #newName(name) {
    demand(name !== NONE && !this.#isDefined(name), "a new name");
    return name;
  }

  #use(name) {
    demand(this.#isDefined(name), "a member defined before it is used");
    demand(!this.#used.has(name), "a member of one group only, once");
    this.#used.add(name);
  }
}

/** A name in a policy, for people. */
function show(name) {
  try {
    return parseUtf8(fromLatin1(name), "a name");
  } catch {
    return name;
  }
}

function readThreshold(given, members) {
  if (given === "all") return BigInt(members);
  return given === "any" ? 1n : parseDecimal(given, "the threshold of a group");
}

const readVkey = (word) => parseVkey(parseUtf8(fromLatin1(word), "a vkey"));

function isNew(key, others) {
  const raw = toLatin1(key.raw);
  return [...others].every((other) => toLatin1(other.raw) !== raw);
}

function demand(condition, expected) {
  if (!condition) throw malformed(`expected ${expected}`);
}

const malformed = (message) => new MalformedError("malformed-policy", message);

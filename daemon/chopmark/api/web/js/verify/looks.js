/** What the page makes of an answer: how it looks, and which of the explanations is due. */

import { list, moment, number } from "../format.js";
import { t } from "../i18n/index.js";
import { kindName } from "./expect.js";

/** Words by which a clerk would rely on a document. */
const GOOD = new Set(["valid", "valid-as-of"]);
const GRAVE = new Set([1, 4, 5]);

/** The attestation that the verdict is about; undefined if there is none. */
export function deciding(verdict) {
  return verdict.attestations.find((one) => one.verdict === verdict.verdict) ?? verdict.attestations[0];
}

/** Whether anything of it is known: of a proof that is refused as a whole only what it claims. */
export const isRead = (one) => one.problem === null || one.made_at !== null;

/** What the clerk expected when the gateway was asked. */
export const expected = (job) => job.verdict.expected;

/** The word that counts on the page: what the clerk says of the issuer decides too. */
export const wordOf = (job) => (job.confirmed === "no" ? "mismatch" : job.verdict.verdict);

/**
 * How it looks and what it is called: the word, or one of the page's own where the word alone would
 * say too much. Nothing is green before somebody has said whose document it is to be.
 */
export function lookOf(job) {
  if (job.confirmed === "no") return "other-issuer";
  const word = job.verdict.verdict;
  if (GOOD.has(word) && !expected(job).issuer) return "undecided";
  if (word === "unknown" && elsewhere(job).length > 0) return "elsewhere";
  return word === "mismatch" ? mismatch(job, deciding(job.verdict)) : word;
}

function mismatch(job, one) {
  const { issuer, kind } = expected(job);
  if (one.same_content || job.match === "differs") return "mismatch";
  if (job.digests && one.digests_checked.length === 0) return "not-compared";
  if (issuer && !isNamed(one, issuer)) return "other-issuer";
  return kind && one.kind !== kind ? "other-kind" : "mismatch";
}

const isNamed = (one, issuer) => [one.issuer, one.id, one.origin].includes(issuer);

/** Of an unknown document: attestations of it that are not what is expected. */
export const elsewhere = (job) => job.verdict.others ?? []; // an older gateway names none

/** What was taken back of these very bytes, though by another issuer or of another kind than expected. */
export function takenBack(job, look) {
  if (look === "elsewhere") return elsewhere(job).filter((one) => one.revoked);
  const shown = ["other-issuer", "other-kind"].includes(look) ? [deciding(job.verdict)] : [];
  return shown.filter((one) => one.revoked);
}

export const isGrave = (one) => GRAVE.has(one.revoked?.reason);

/** Which of the explanations of a look it is. */
export function detail(job, look, one) {
  if (job.confirmed === "no") return "other-issuer";
  if (look === "other-issuer" || look === "other-kind") return "mismatch.expected";
  if (look === "not-compared") return "mismatch.blinded";
  if (look === "mismatch") return one.same_content ? "mismatch.resaved" : "mismatch";
  if (look === "elsewhere") {
    const { issuer } = expected(job);
    return issuer && elsewhere(job).every((other) => !isNamed(other, issuer)) ? "elsewhere" : "elsewhere.otherwise";
  }
  if (look === "valid-as-of" && !one.as_of) return "valid-as-of.offline";
  if (look === "valid" && one.quorum === "none") return "valid.alone";
  if (look === "revoked" && isGrave(one)) return "revoked.grave";
  if (look === "superseded") {
    const last = one.supersession.at(-1);
    return last && !one.supersession_cut && last.standing !== "live" ? "superseded.gone" : "superseded";
  }
  if (look === "untrusted" && job.forked.includes(one.origin)) return "untrusted.fork";
  if (look === "untrusted" && one.problem === null) return "untrusted.format";
  if (look === "unknown" && job.proofText === null) return job.file ? "unknown" : "unknown.reference";
  return look;
}

/** What the messages name. */
export function values(job, one) {
  const { issuer, kind } = expected(job);
  const wanted = [issuer, kind && kindName(kind)].filter(Boolean);
  const also = elsewhere(job).map((other) => t("verdict.elsewhere.one", { issuer: other.issuer, kind: kindName(other.kind) }));
  const given = { expected: issuer, wanted: wanted.length ? list(wanted) : "", others: list([...new Set(also)]) };
  if (!one) return given;
  return {
    ...given, ...revocation(one),
    kind: one.kind ? kindName(one.kind) : "",
    existed: one.existed_by ? moment(one.existed_by) : "",
    asof: one.as_of ? moment(one.as_of) : "",
    until: one.valid_until ? moment(one.valid_until) : "",
    index: number(one.superseded_by ?? one.index),
  };
}

/** Who took an attestation back, when and why, if it was. */
export const revocation = (one) => ({
  issuer: one.issuer,
  when: one.revoked ? moment(one.revoked.at) : "",
  reason: one.revoked ? t(`reason.${one.revoked.reason}`) : "",
});

/** The large words. */
export function titleOf(job) {
  if (job.state === "failed") return t("verdict.failed.title");
  const look = lookOf(job);
  const when = deciding(job.verdict)?.as_of ?? null;
  if (look === "valid-as-of" && when) return t("verdict.valid-as-of.when", { when: moment(when) });
  return t(`verdict.${look}.title`);
}

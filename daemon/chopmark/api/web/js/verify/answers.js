/** What an answer of the gateway leaves open, and how the page finds it out. */

import { deciding } from "./looks.js";

/**
 * Whether beside what decides there are attestations of which SHA-256 alone agrees. The gateway
 * judges without the other digest where the answer holds all the same, and calls these mismatches.
 */
export function wantsSm3(job, verdict) {
  const pointedAt = job.proofText === null ? null : deciding(verdict);
  return [...verdict.attestations, ...(verdict.others ?? [])].some(
    (one) => one !== pointedAt && one.verdict === "mismatch" && one.digests_checked.join() === "sha256");
}

/**
 * Origins of ledgers with two histories, where that may be why something is wrong. The message of
 * that alarm begins with the origin.
 */
export async function forkedOf(verdict, api, signal) {
  const doubtful = verdict.attestations.filter((one) => one.problem || one.warning);
  if (doubtful.length === 0) return [];
  const { alarms } = await api.get("/v1/status", { signal, quiet: true }).catch(() => ({ alarms: [] }));
  const told = alarms.filter(({ code }) => code === "fork").map(({ message }) => message.split(" ")[0]);
  return doubtful.map((one) => one.origin).filter((origin) => told.includes(origin));
}

/**
 * Of a mismatch with a proof: how the document compares with it. The answer does not tell another
 * document from the right one of another issuer than expected.
 */
export async function matchOf(job, verdict) {
  if (verdict.verdict !== "mismatch" || job.proofText === null) return null;
  try {
    return (await import("./proof.js")).readWay(job.proofText, job.digests).match;
  } catch {
    return null; // the gateway has read it
  }
}

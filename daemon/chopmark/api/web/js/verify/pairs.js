/** Which proof belongs to which document, by their names. */

/** Of a proof, and of a slip as `chopmark slip` names it: it carries one. */
const SUFFIXES = [".tlog-proof", ".slip.pdf"];
/** What a browser puts into the name of a second download: `statement (1).pdf`. */
const COPY = / ?\(\d+\)(?=\.|$)/g;

export const isSlip = (file) => file.name.toLowerCase().endsWith(SUFFIXES[1]);
export const isProof = (file) => SUFFIXES.some((one) => file.name.toLowerCase().endsWith(one));

/**
 * Pair files.
 * @param {File[]} files
 * @returns {{file: File | null, proof: File | null, name: string}[]} a proof without its document
 *   stands alone
 */
export function pair(files) {
  const proofs = files.filter(isProof);
  const documents = files.filter((file) => !isProof(file));
  if (documents.length === 1 && proofs.length === 1) {
    return [{ file: documents[0], proof: proofs[0], name: documents[0].name }];
  }
  const left = new Map(proofs.map((proof) => [bare(proof.name), proof]));
  const pairs = documents.map((file) => {
    const found = [file.name, file.name.replace(COPY, "")].find((name) => left.has(name));
    const proof = found === undefined ? null : left.get(found);
    left.delete(found);
    return { file, proof, name: file.name };
  });
  const alone = [...left.values()].map((proof) => ({ file: null, proof, name: proof.name }));
  return [...pairs, ...alone];
}

function bare(name) {
  const suffix = SUFFIXES.find((one) => name.toLowerCase().endsWith(one));
  const shown = name.slice(0, -suffix.length);
  return name.match(COPY) && !name.match(/\(\d+\)\.[^.]+\.tlog-proof$/) ? shown.replace(COPY, "") : shown;
}

/** All files of what was dropped, those in folders too. */
export async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (entries.length === 0) return [...transfer.files];
  const found = await Promise.all(entries.map(walk));
  return found.flat();
}

async function walk(entry) {
  if (entry.isFile) return [await new Promise((give, fail) => entry.file(give, fail))];
  const reader = entry.createReader();
  const inside = [];
  for (;;) { // a call gives a hundred at most
    const some = await new Promise((give, fail) => reader.readEntries(give, fail));
    if (some.length === 0) break;
    inside.push(...some);
  }
  const found = await Promise.all(inside.map(walk));
  return found.flat();
}

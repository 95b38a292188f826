/** Whom this gateway knows, and which kinds of documents there are: asked once, and kept. */

/** Kinds that are offered where no roster has a catalogue. */
const USUAL = [
  "document", "bank-statement", "deposit-certificate", "asset-proof", "credit-report", "kyc-report", "diploma",
];
let known = null;

/** @returns {Promise<{members: object[], kinds: string[]}>} our own gateway first */
export function learn(api) {
  known ??= ask(api).catch((error) => {
    known = null; // asked again at the next visit
    throw error;
  });
  return known;
}

async function ask(api) {
  // Of these three a guest may ask, too, where verification is open without signing in.
  const [own, peers, roster] = await Promise.all([
    api.get("/v1/status"), api.get("/v1/peers"), api.get("/v1/roster").catch(() => ({})),
  ]);
  const catalogue = (roster.kinds ?? []).map((kind) => kind.name);
  const named = [own, ...peers].flatMap((one) => one.kinds ?? []).filter((kind) => kind !== "*");
  const kinds = catalogue.length ? catalogue : [...new Set([...USUAL, ...named])];
  return { members: [own, ...peers], kinds };
}

/** The member whose origin a witness's name begins with; undefined if it is a stranger. */
export function memberOf(members, name) {
  return members
    .filter((one) => name === one.origin || name.startsWith(`${one.origin}/`))
    .sort((a, b) => b.origin.length - a.origin.length)[0];
}

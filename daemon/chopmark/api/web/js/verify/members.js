/** Whom this gateway knows, and which kinds of documents there are: asked once, and kept. */

/** Kinds that are offered where no roster has a catalogue. */
const USUAL = [
  "document", "bank-statement", "deposit-certificate", "asset-proof", "credit-report", "kyc-report", "diploma",
];
/** Times that each list is asked for, and the most seconds between two of them. */
const TRIES = 4;
const LONGEST = 30;
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
    patiently(api, "/v1/status"), patiently(api, "/v1/peers"), patiently(api, "/v1/roster").catch(() => ({})),
  ]);
  const catalogue = (roster.kinds ?? []).map((kind) => kind.name);
  const named = [own, ...peers].flatMap((one) => one.kinds ?? []).filter((kind) => kind !== "*");
  const kinds = catalogue.length ? catalogue : [...new Set([...USUAL, ...named])];
  return { members: [own, ...peers], kinds };
}

/** Asked again while there was too much at once: a whole network of guests shares one rate. */
export async function patiently(api, path, tries = TRIES) {
  try {
    return await api.get(path);
  } catch (error) {
    if (error.status !== 429 || tries === 1) throw error;
    await new Promise((go) => { setTimeout(go, 1000 * Math.min(error.retryAfter || 1, LONGEST)); });
    return patiently(api, path, tries - 1);
  }
}

/** The member whose origin a witness's name begins with; undefined if it is a stranger. */
export function memberOf(members, name) {
  return members
    .filter((one) => name === one.origin || name.startsWith(`${one.origin}/`))
    .sort((a, b) => b.origin.length - a.origin.length)[0];
}

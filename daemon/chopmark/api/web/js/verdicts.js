/** The words of docs/verdicts.md: how each looks, and which is worst. */

import { s } from "./dom.js";

/** Of several documents the worst decides. Among the words are the page's own (verify/looks.js). */
export const WORST_FIRST = [
  "untrusted", "mismatch", "other-issuer", "other-kind", "not-compared", "revoked", "superseded", "expired",
  "elsewhere", "unknown", "ambiguous", "unwitnessed", "attestation-only", "undecided", "valid-as-of", "valid",
];

/** Colour and shape. Each tone has shapes of its own: nobody needs to see colours. */
const LOOKS = {
  valid: ["good", "tick"],
  "valid-as-of": ["good", "clock"],
  revoked: ["bad", "cross"],
  expired: ["warn", "hourglass"],
  superseded: ["warn", "arrow"],
  unknown: ["calm", "question"],
  mismatch: ["bad", "unequal"],
  untrusted: ["bad", "bar"],
  unwitnessed: ["warn", "dots"],
  "attestation-only": ["calm", "paper"],
  ambiguous: ["warn", "fork"],
  failed: ["bad", "bang"],
  "other-issuer": ["bad", "unequal"],
  "other-kind": ["bad", "unequal"],
  "not-compared": ["bad", "unequal"],
  elsewhere: ["calm", "question"],
  undecided: ["ask", "question"],
};

export const tone = (word) => LOOKS[word][0];

/** The plate of a shape says the tone: round is good, octagonal bad, three-cornered take care, on its tip a question. */
const PLATES = {
  good: { d: "M32 3a29 29 0 1 1 0 58a29 29 0 0 1 0-58z", lift: 0 },
  bad: { d: "M20.5 4h23L60 20.5v23L43.5 60h-23L4 43.5v-23z", lift: 0 },
  warn: { d: "M32 4.5c1.6 0 3 .8 3.800 2.200l25 44.500c1.700 3-.5 6.800-3.900 6.800H7.100c-3.400 0-5.600-3.800-3.900-6.800l25-44.500C29 5.300 30.400 4.500 32 4.500z", lift: 7 },
  ask: { d: "M27.800 4.700a6 6 0 0 1 8.400 0l23.100 23.100a6 6 0 0 1 0 8.400l-23.100 23.100a6 6 0 0 1-8.400 0l-23.100-23.100a6 6 0 0 1 0-8.400z", lift: 0 },
  calm: { d: "M14 5h36a9 9 0 0 1 9 9v36a9 9 0 0 1-9 9H14a9 9 0 0 1-9-9V14a9 9 0 0 1 9-9z", lift: 0 },
};
const SIGNS = {
  tick: ["M19 33l9 10 17-21"],
  clock: ["M32 17v16l10 7"],
  cross: ["M22 22l20 20", "M42 22L22 42"],
  bar: ["M19 32h26"],
  unequal: ["M20 26h24", "M20 38h24", "M39 18L25 46"],
  bang: ["M32 17v18", "M32 44v1"],
  hourglass: ["M25 22h14l-14 20h14z"],
  arrow: ["M22 32h19", "M34 24l8 8-8 8"],
  dots: ["M23 33v.5", "M32 33v.5", "M41 33v.5"],
  question: ["M24 25c0-10 16-10 16 0 0 7-8 6-8 13", "M32 46v.5"],
  paper: ["M22 16h14l7 7v25H22z", "M28 30h9", "M28 38h9"],
  fork: ["M32 44V34", "M32 34c0-6-9-4-9-12", "M32 34c0-6 9-4 9-12"],
};

/** The shape of a word, decoration beside words that say the same. */
export function shape(word, size = 56) {
  const [kind, sign] = LOOKS[word];
  const { d, lift } = PLATES[kind];
  return s("svg", { class: "shape", width: size, height: size, viewBox: "0 0 64 64", "aria-hidden": "true" },
    s("path", { d, fill: "currentColor" }),
    s("g", {
      transform: `translate(0 ${lift})`, fill: "none", class: "shape-sign",
      "stroke-width": sign === "dots" || sign === "bang" ? 6 : 5,
      "stroke-linecap": "round", "stroke-linejoin": "round",
    }, SIGNS[sign].map((one) => s("path", { d: one }))));
}

/** The order of results, the worst first; what has no verdict comes before all. */
export const rank = (word) => WORST_FIRST.indexOf(word);

// The offline verifier's languages. What it has to say as the page does stands in tables that both
// share; the rest is its own, as it has no gateway to talk about.

import { keep, kept } from "../dom.js";
import { fill } from "../i18n/fill.js";
import en from "../i18n/offline-en.js";
import hans from "../i18n/offline-zh-Hans.js";
import hant from "../i18n/offline-zh-Hant.js";
import sharedEn from "../i18n/shared-en.js";
import sharedHans from "../i18n/shared-zh-Hans.js";
import sharedHant from "../i18n/shared-zh-Hant.js";

/** By tag, the language's own name. */
export const LANGUAGES = { en: "English", "zh-Hant": "繁體中文", "zh-Hans": "简体中文" };
const TABLES = {
  en: { ...sharedEn, ...en },
  "zh-Hant": { ...sharedHant, ...hant },
  "zh-Hans": { ...sharedHans, ...hans },
};
/** For Intl: the script says which words, the region the order of a date; all with 24 hours. */
const LOCALES = { en: "en-GB", "zh-Hant": "zh-Hant-HK-u-hc-h23", "zh-Hans": "zh-Hans-CN-u-hc-h23" };
/** As on the page (format.js). */
const EXACTLY = {
  year: "numeric", month: "long", day: "numeric",
  hour: "2-digit", minute: "2-digit", second: "2-digit", timeZoneName: "short",
};
let current = "en";

/** The tag of the language in use. */
export const language = () => current;

/** Use a language, and remember it. */
export function speak(tag) {
  current = tag;
  document.documentElement.lang = tag;
  keep("lang", tag);
}

/** The language to begin with: the one chosen before, else what the browser asks for. */
export function preferred() {
  if (kept("lang") in TABLES) return kept("lang");
  for (const tag of navigator.languages) {
    const { language: spoken, script } = new Intl.Locale(tag).maximize();
    if (spoken === "zh") return script === "Hans" ? "zh-Hans" : "zh-Hant";
    if (spoken === "en") return "en";
  }
  return "en";
}

/**
 * A message, with values for its `{names}`.
 * @param {string} key
 * @param {Record<string, unknown>} [values]
 * @param {string} [otherwise] what to give if there is no such message
 */
export function t(key, values = {}, otherwise = key) {
  return fill(TABLES[current][key] ?? otherwise, values);
}

/** A number with separators. */
export const number = (value, options = {}) =>
  new Intl.NumberFormat(LOCALES[current], options).format(value);

/** A share of 1 as per cent. */
export const percent = (value) => number(value, { style: "percent" });

/** Several names in a row. */
export const list = (names) => new Intl.ListFormat(LOCALES[current]).format(names);

/** Day, minute and second with the zone, of ms since the Unix epoch. */
export function exactly(ms) {
  const date = asDate(ms);
  return date === null
    ? t("time.beyond")
    : new Intl.DateTimeFormat(LOCALES[current], EXACTLY).format(date);
}

/** The day alone. */
export const day = (ms) =>
  new Intl.DateTimeFormat(LOCALES[current], { dateStyle: "long" }).format(asDate(ms));

/** A place by its ISO 3166 code. */
export function place(code) {
  const [region] = code.split("-");
  const name = t(`place.${region}`, {}, "") || new Intl.DisplayNames(LOCALES[current], { type: "region" }).of(region);
  return code === region ? name : `${name} (${code})`;
}

/** A kind of document, by its name in the language where it has one. */
export const kindName = (kind) => t(`kind.${kind}`, {}, kind);

/** A date, or null for times that are beyond what a Date can hold. */
function asDate(ms) {
  const date = new Date(Number(ms));
  return Number.isNaN(date.getTime()) ? null : date;
}

/** The page's languages: two flat tables of messages for each, of which the offline verifier shares one. */

import { keep, kept } from "../dom.js";
import en from "./en.js";
import { fill } from "./fill.js";
import shared from "./shared-en.js";

/** By tag, the language's own name. */
export const LANGUAGES = { en: "English", "zh-Hant": "繁體中文", "zh-Hans": "简体中文" };
const english = { ...shared, ...en };
const tables = { en: english };
/** Messages that views bring themselves, by language. */
const brought = {};
let current = "en";
let rules = new Intl.PluralRules("en");

/** The tag of the language in use. */
export const language = () => current;

/** Use a language, which is loaded if need be, and remember it. */
export async function speak(tag, { remember = true } = {}) {
  const known = tag in LANGUAGES ? tag : "en";
  tables[known] ??= await load(known);
  current = known;
  rules = new Intl.PluralRules(known);
  document.documentElement.lang = known;
  if (remember) keep("lang", known);
}

async function load(tag) {
  const parts = await Promise.all([import(`./shared-${tag}.js`), import(`./${tag}.js`)]);
  return Object.assign({}, ...parts.map((one) => one.default));
}

/** The language to begin with: the one chosen before, else what the browser asks for. */
export function preferred() {
  const before = kept("lang");
  if (before in LANGUAGES) return before;
  for (const tag of navigator.languages ?? []) {
    const locale = new Intl.Locale(tag).maximize();
    if (locale.language === "zh") return locale.script === "Hans" ? "zh-Hans" : "zh-Hant";
    if (locale.language === "en") return "en";
  }
  return "en";
}

/**
 * A message, with values for its `{names}`.
 * `{count}` chooses between `key.one` and `key.other` where a language has both.
 * @param {string} key
 * @param {Record<string, unknown>} [values]
 * @param {string} [fallback] what to give if there is no such message; the key if not given
 */
export function t(key, values = {}, fallback = undefined) {
  const keys = "count" in values ? [`${key}.${rules.select(Number(values.count))}`, key, `${key}.other`] : [key, `${key}.other`];
  const text = keys.map(find).find((one) => one !== undefined);
  if (text === undefined) return fallback ?? key;
  return fill(text, values);
}

/** Whether there is such a message. */
export const has = (key) => find(key) !== undefined;

/** Take in messages of a view. @param {Record<string, Record<string, string>>} messages by language */
export function extend(messages) {
  for (const [tag, table] of Object.entries(messages)) brought[tag] = { ...brought[tag], ...table };
}

const find = (key) => tables[current][key] ?? brought[current]?.[key] ?? english[key];

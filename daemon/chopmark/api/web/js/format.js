/** Dates, numbers and sizes as the reader's language has them (Intl). */

import { language, t } from "./i18n/index.js";

/** Locale for Intl: the script says which words, the region which order of a date; all with 24 hours. */
const LOCALE = { en: "en-GB", "zh-Hant": "zh-Hant-HK-u-hc-h23", "zh-Hans": "zh-Hans-CN-u-hc-h23" };
const UNITS = ["kilobyte", "megabyte", "gigabyte", "terabyte"];
const made = new Map();

function intl(kind, options) {
  const key = `${language()} ${kind} ${JSON.stringify(options)}`;
  if (!made.has(key)) made.set(key, new Intl[kind](LOCALE[language()], options));
  return made.get(key);
}

/** A number with separators. */
export const number = (value, options = {}) => intl("NumberFormat", options).format(value);

/** A share of 1 as per cent. */
export const percent = (value) => number(value, { style: "percent", maximumFractionDigits: 1 });

/** Day and minute, with the zone, of an RFC 3339 time or a Date. */
export function moment(time) {
  const options = { dateStyle: "long", timeStyle: "short" };
  return intl("DateTimeFormat", options).format(new Date(time));
}

/** Day, minute and second with the name of the zone: for evidence. */
export function exactly(time) {
  const options = {
    year: "numeric", month: "long", day: "numeric",
    hour: "2-digit", minute: "2-digit", second: "2-digit", timeZoneName: "short",
  };
  return intl("DateTimeFormat", options).format(new Date(time));
}

/** Hour and minute. */
export const clock = (time) =>
  intl("DateTimeFormat", { hour: "2-digit", minute: "2-digit" }).format(new Date(time));

/** Short day and time, with seconds: the one form of overview and tables. */
export const shortly = (time) =>
  intl("DateTimeFormat", { dateStyle: "medium", timeStyle: "medium" }).format(new Date(time));

/** The name of the zone that times are told in. */
export function zone() {
  const parts = intl("DateTimeFormat", { timeZoneName: "longOffset" }).formatToParts(new Date());
  const offset = parts.find((one) => one.type === "timeZoneName").value.replace("GMT", "UTC");
  return `${Intl.DateTimeFormat().resolvedOptions().timeZone} (${offset})`;
}

/** How long ago, in the largest unit that fits. */
export function ago(seconds) {
  const steps = [[86400, "day"], [3600, "hour"], [60, "minute"], [1, "second"]];
  const [size, unit] = steps.find(([one]) => Math.abs(seconds) >= one) ?? [1, "second"];
  return intl("RelativeTimeFormat", { numeric: "auto" }).format(-Math.round(seconds / size), unit);
}

/** Bytes in decimal units. */
export function bytes(count) {
  if (count < 1000) return number(count, { style: "unit", unit: "byte", unitDisplay: "long" });
  const power = Math.min(UNITS.length, Math.floor(Math.log10(count) / 3));
  const options = { style: "unit", unit: UNITS[power - 1], maximumFractionDigits: 1 };
  return number(count / 1000 ** power, options);
}

/** Several names in a row. */
export const list = (names) => intl("ListFormat", { type: "conjunction" }).format(names);

/** A place by its ISO 3166 code, with the code where that says more than the name. */
export function place(code) {
  const region = code.split("-")[0];
  if (!/^[A-Z]{2}$/.test(region)) return code;
  const name = t(`place.${region}`, {}, "") || intl("DisplayNames", { type: "region" }).of(region);
  return code === region ? name : `${name} (${code})`;
}

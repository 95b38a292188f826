/** Values in messages: kept from turning what stands around them, and set off from Chinese text. */

/** Letters that are read from the right, and characters that turn the order of what follows. */
const TURNS = /[\u0590-\u08ff\u200e\u200f\u202a-\u202e\u2066-\u2069\ufb1d-\ufdff\ufe70-\ufefc]/u;
const MARKS = /[\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]/gu;
const HAN = /\p{Script=Han}/u;
/** Letters and digits are set off by `text-autospace`, where a browser knows it; brackets are not. */
const LATIN = /[\p{Script=Latin}\p{Nd}()%.]/u;
const THIN = "\u2009";

/** A name in a text of ours, whatever its letters: it is isolated where it could turn anything. */
export function isolate(name) {
  return TURNS.test(name) ? `\u2068${name.replace(MARKS, "")}\u2069` : name;
}

/** A message with values for its `{names}`; what has no value stays. */
export function fill(text, values) {
  return text.replace(/(.?)\{(\w+)\}(?=(.?))/gu, (whole, before, name, after) => {
    if (values[name] === undefined || values[name] === null) return whole;
    const value = String(values[name]);
    const [first, last] = [value.at(0) ?? "", value.at(-1) ?? ""];
    const left = HAN.test(before) && LATIN.test(first) ? THIN : "";
    const right = HAN.test(after) && LATIN.test(last) ? THIN : "";
    return before + left + isolate(value) + right;
  });
}

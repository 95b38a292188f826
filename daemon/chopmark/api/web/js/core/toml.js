// The TOML of rosters, in its one canonical spelling (core/roster_text.py): what was read is
// written again and compared, so that a text has one meaning and a meaning has one text.
//
// A schema is a list of fields [name, type, default]; without a default a field must be there, and
// one whose default is null may be left out. The types are below.

import { MalformedError } from "./errors.js";

const HEADING = /^(\[\[?)([a-z_]+(?:\.[a-z_]+)*)(\]\]?)$/;
const VALUE = /^([a-z_]+) = (.+)$/;
const INTEGER = /^(?:0|-?[1-9][0-9]{0,18})$/;
const TIME = /^[1-9]\d{3}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;

/** Text of any content. */
export const text = scalar((value) => typeof value === "string", quote);
/** Whole numbers, as bigints. */
export const integer = scalar((value) => typeof value === "bigint", String);
/** Booleans. */
export const flag = scalar((value) => typeof value === "boolean", String);
/** Times in whole seconds, as bigints of ms since the Unix epoch. */
export const time = scalar(isTime, formatTime, (date) => BigInt(date.getTime()));
/** One of some texts. */
export const oneOf = (...words) => scalar((value) => words.includes(value), quote);
/** A whole number, or one text. */
export const integerOr = (word) =>
  scalar(
    (value) => value === word || typeof value === "bigint",
    (value) => (value === word ? quote(value) : String(value)),
  );
/** A row of texts. */
export const texts = scalar(
  (value) => Array.isArray(value) && value.every((item) => typeof item === "string"),
  (value) => `[${value.map(quote).join(", ")}]`,
);
/** A table, or one of each heading. */
export const table = (schema) => ({ schema, many: false });
export const tables = (schema) => ({ schema, many: true });

/**
 * Read a body that is in its canonical spelling.
 * @param {string} body
 * @returns {object} by the names of the schema; what was left out has its default
 * @throws {MalformedError} `malformed-roster`
 */
export function parseToml(body, schema) {
  const value = convert(readTables(body), schema, "");
  if (`${[...writeTable(value, schema, "")].join("\n")}\n` !== body) {
    throw malformed("a roster is not in its canonical spelling");
  }
  return value;
}

function scalar(accepts, encode, make = (value) => value) {
  return { accepts, encode, make };
}

function readTables(body) {
  const root = Object.create(null);
  let current = root;
  for (const line of body.split("\n")) {
    const heading = HEADING.exec(line);
    const pair = VALUE.exec(line);
    if (heading !== null) current = enter(root, heading[2].split("."), heading[1] === "[[");
    else if (pair !== null && !(pair[1] in current)) current[pair[1]] = readValue(pair[2]);
    else if (line !== "") throw malformed("a roster has a line that is no canonical TOML");
  }
  return root;
}

/** The table that a heading begins. */
function enter(root, path, many) {
  const last = path.pop();
  let node = root;
  for (const name of path) {
    node[name] ??= Object.create(null);
    node = Array.isArray(node[name]) ? node[name].at(-1) : node[name];
    if (node === null || typeof node !== "object") throw malformed("a heading inside a value");
  }
  const made = Object.create(null);
  if (many) {
    node[last] ??= [];
    if (!Array.isArray(node[last])) throw malformed("one heading is used in two ways");
    node[last].push(made);
  } else if (last in node) {
    throw malformed("a table occurs twice");
  } else {
    node[last] = made;
  }
  return made;
}

function readValue(given) {
  if (given === "true" || given === "false") return given === "true";
  if (INTEGER.test(given)) return BigInt(given);
  if (TIME.test(given)) return new Date(given);
  // Within what rules let through, a JSON string is a basic string of TOML.
  try {
    if (/^["[]/.test(given) && !given.includes("\u007f")) return JSON.parse(given);
  } catch {
    // as any other value that is not known
  }
  throw malformed("a roster has a value that is no canonical TOML");
}

function convert(value, schema, where) {
  const known = new Set(schema.map(([name]) => name));
  const unknown = Object.keys(value).find((name) => !known.has(name));
  if (unknown !== undefined) throw malformed(`a roster: unknown key ${where}${unknown}`);
  const fields = schema.map(([name, type, otherwise]) => {
    if (name in value) return [name, convertField(value[name], type, `${where}${name}`)];
    if (otherwise === undefined) throw malformed(`a roster: ${where}${name} is missing`);
    return [name, otherwise];
  });
  return Object.fromEntries(fields);
}

function convertField(value, type, where) {
  const isTable = (one) => typeof one === "object" && Object.getPrototypeOf(one) === null;
  if (type.schema === undefined) {
    if (!type.accepts(value)) throw malformed(`a roster: ${where} is not what it should be`);
    return type.make(value);
  }
  const items = type.many ? value : [value];
  if (!Array.isArray(items) || !items.every(isTable)) throw malformed(`a roster: ${where}: no table`);
  const converted = items.map((item) => convert(item, type.schema, `${where}.`));
  return type.many ? converted : converted[0];
}

/** Lines of a table: values first, then the tables in it, each after a blank line. */
function* writeTable(value, schema, path) {
  for (const [name, type, otherwise] of schema) {
    const isValue = type.schema === undefined && value[name] !== null;
    if (isValue && !isSame(value[name], otherwise)) yield `${name} = ${type.encode(value[name])}`;
    if (type.many && otherwise === undefined && value[name].length === 0) yield `${name} = []`;
  }
  for (const [name, type] of schema) {
    if (type.schema === undefined || value[name] === null) continue;
    for (const item of type.many ? value[name] : [value[name]]) {
      const at = path === "" ? name : `${path}.${name}`;
      if (!isBare(item, type.schema)) yield* ["", type.many ? `[[${at}]]` : `[${at}]`];
      yield* writeTable(item, type.schema, at);
    }
  }
}

/** Whether a table holds nothing but tables, which say where they are themselves. */
const isBare = (value, schema) => schema.every(([name, type]) => type.many && value[name].length > 0);

const isSame = (value, other) =>
  Array.isArray(value) ? JSON.stringify(value) === JSON.stringify(other) : value === other;

function quote(value) {
  if (/\p{Cs}/u.test(value)) throw malformed("a roster has a text that is not Unicode");
  return JSON.stringify(value);
}

function formatTime(ms) {
  return new Date(Number(ms)).toISOString().replace(".000Z", "Z");
}

function isTime(value) {
  return value instanceof Date && !Number.isNaN(value.getTime());
}

const malformed = (message) => new MalformedError("malformed-roster", message);

// Prints what the page's decoder reads in pictures: width and height in four bytes each, and RGBA.

import { readFileSync } from "node:fs";

import { readCode } from "../../daemon/chopmark/api/web/js/core/code.js";

for (const file of process.argv.slice(2)) {
  const raw = readFileSync(file);
  const [width, height] = [raw.readUInt32BE(0), raw.readUInt32BE(4)];
  console.log(readCode({ width, height, data: raw.subarray(8) }, { thorough: true }) ?? "");
}

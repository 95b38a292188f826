// Makes what is committed in daemon/chopmark/api/web: each vendor/NAME.js becomes web/vendor/NAME.js,
// with all that it imports, and the offline verifier becomes one file. `make page` runs it.
//
//   node build.mjs [FOLDER]   write into FOLDER in place of web/, as the test does that compares

import { copyFileSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const web = resolve(here, "../daemon/chopmark/api/web");
const target = resolve(process.argv[2] ?? web);
const common = {
  absWorkingDir: here,
  bundle: true,
  charset: "utf8",
  legalComments: "none", // they stand in LICENSES.txt, whole
  logLevel: "warning",
  metafile: true,
  minify: true,
  target: ["es2022", "chrome110", "firefox115", "safari16.4"],
};

const parts = readdirSync(join(here, "vendor")).filter((name) => name.endsWith(".js")).sort();
const vendor = await build({
  ...common,
  entryPoints: parts.map((name) => `vendor/${name}`),
  format: "esm",
  outdir: join(target, "vendor"),
});
/** Fonts, which are taken as they are: by the name under which they are served. */
const fonts = { "inter-latin.woff2": "@fontsource-variable/inter/files/inter-latin-wght-normal.woff2" };
for (const [name, path] of Object.entries(fonts)) {
  copyFileSync(join(here, "node_modules", path), join(target, "vendor", name));
}
writeFileSync(join(target, "vendor", "LICENSES.txt"), describeLicences(vendor.metafile));

// The offline verifier's script and style, which `chopmark export-verifier` puts into one file.
mkdirSync(join(target, "offline"), { recursive: true });
const sources = [
  ["js/offline/main.js", "verifier.js"],
  ["style/offline.css", "verifier.css"],
];
for (const [source, name] of sources) {
  await build({
    ...common,
    entryPoints: [relative(here, join(web, source))],
    format: "iife",
    outfile: join(target, "offline", name),
  });
}

/** What each package that went in is, and its licence. */
function describeLicences(metafile) {
  const taken = Object.values(fonts).map((path) => `node_modules/${path}`);
  const used = [...Object.keys(metafile.inputs), ...taken]
    .map((path) => /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1])
    .filter((name) => name !== undefined);
  return [...new Set(used)].sort().map(describeLicence).join("\n");
}

function describeLicence(name) {
  const folder = join(here, "node_modules", name);
  const about = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const files = readdirSync(folder).filter((file) => /^licen[cs]e/i.test(file)).sort();
  if (files.length === 0) throw new Error(`${name} comes without the text of its licence`);
  const texts = files.map((file) => readFileSync(join(folder, file), "utf8").trim());
  const title = `${name} ${about.version} (${about.license})`;
  return `${title}\n${"=".repeat(title.length)}\n\n${texts.join("\n\n")}\n`;
}

// Bundles the desk's script and style into ../static, in files that are named by their content, and lists them in
// manifest.json. A browser may keep such a file for ever: another content has another name.

import { build } from "esbuild";
import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";

const here = path.dirname(fileURLToPath(import.meta.url));
const target = path.join(here, "..", "static");

const result = await build({
  absWorkingDir: here,
  entryPoints: ["desk.js", "desk.css", "api.js", "api.css"],
  bundle: true,
  minify: true,
  format: "iife",
  target: ["es2022"],
  entryNames: "[name]-[hash]",
  outdir: target,
  write: false,
  metafile: true,
  legalComments: "eof",
  logLevel: "warning",
});

await mkdir(target, { recursive: true });
const manifest = {};
for (const [file, { entryPoint }] of Object.entries(result.metafile.outputs)) {
  manifest[entryPoint] = path.basename(file);
}
for (const file of result.outputFiles) {
  await writeFile(file.path, file.contents);
}
await writeFile(path.join(target, "manifest.json"), JSON.stringify(manifest, null, 2) + "\n");

// What an earlier build left is not served any more.
const current = new Set([...Object.values(manifest), "manifest.json"]);
for (const name of await readdir(target)) {
  if (!current.has(name)) await rm(path.join(target, name));
}

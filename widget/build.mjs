// Builds the widget into the one file that crates/api embeds. `--check` compares instead of writing, `--dist` writes for npm.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

import { build, transform } from "esbuild";
import { minify } from "terser";

const HERE = dirname(fileURLToPath(import.meta.url));
const EMBEDDED = join(HERE, "../crates/api/src/pages/stentor-inbox.js");

const BANNER = "// <stentor-inbox>, built from widget/ by `make widget`. Contains Lit, (c) Google LLC, BSD-3-Clause.";

/** Style sheets are imported as text, without their comments and blanks. */
const styles = {
  name: "styles",
  setup({ onLoad }) {
    onLoad({ filter: /\.css$/ }, async ({ path }) => {
      const { code } = await transform(readFileSync(path, "utf8"), { loader: "css", minify: true, target: "es2022" });
      return { contents: code.trim(), loader: "text" };
    });
  },
};

const { outputFiles, metafile } = await build({
  entryPoints: [join(HERE, "src/index.ts")],
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  charset: "utf8",
  legalComments: "none",
  tsconfig: join(HERE, "tsconfig.json"),
  plugins: [styles],
  write: false,
  metafile: true,
});
if (process.argv.includes("--sizes")) console.log(Object.entries(Object.values(metafile.outputs)[0].inputs).map(([f, i]) => `${i.bytesInOutput} ${f}`).join("\n"));
// Line breaks with an indent are those of templates: between elements they say nothing, elsewhere a blank says the same.
const bundle = outputFiles[0].text.replace(/([>}])\n {2,}(?=[<$])/g, "$1").replace(/\n {2,}/g, " ");
// esbuild bundles; terser says the same in fewer bytes.
const { code } = await minify(bundle, { module: true, ecma: 2020, compress: { passes: 3, unsafe_arrows: true }, format: { comments: false } });
const built = `${BANNER}\n${code}\n`;
// What is served is packed into fewer bytes (crates/api/build.rs), and a test there holds what is promised of it.
console.log(`stentor-inbox.js: ${built.length} bytes, ${gzipSync(built, { level: 9 }).length} gzipped by zlib`);
if (process.argv.includes("--check")) {
  if (readFileSync(EMBEDDED, "utf8") !== built) {
    console.error("The embedded file is not what the sources build: run `make widget` and commit what it writes.");
    process.exit(1);
  }
} else if (process.argv.includes("--dist")) {
  rmSync(join(HERE, "dist"), { recursive: true, force: true }); // what an older version left is not packed
  mkdirSync(join(HERE, "dist"));
  writeFileSync(join(HERE, "dist/stentor-inbox.js"), built);
} else {
  writeFileSync(EMBEDDED, built);
}

// Builds the studio into the one file that the binary embeds; with --check: says whether that file is what these sources build.
import { readFile, writeFile } from 'node:fs/promises';
import { build } from 'esbuild';

const target = new URL('../crates/api/src/console/assets/studio.js', import.meta.url);
const { outputFiles } = await build({
  entryPoints: [new URL('src/main.js', import.meta.url).pathname],
  bundle: true,
  minify: true,
  format: 'iife',
  target: ['es2022'],
  charset: 'utf8',
  legalComments: 'none',
  // The widget's views are drawn here, too: what they import is taken from this folder, so that one install is enough.
  nodePaths: [new URL('node_modules', import.meta.url).pathname],
  tsconfigRaw: { compilerOptions: { target: 'ES2022', useDefineForClassFields: false } },
  loader: { '.css': 'text' },
  banner: { js: '// Built from studio/ by `npm run build`; it holds CodeMirror 6 (MIT) and Lit (BSD-3-Clause). Do not edit.' },
  write: false,
});
const built = outputFiles[0].text;
if (process.argv.includes('--check')) {
  const kept = await readFile(target, 'utf8').catch(() => '');
  if (kept !== built) {
    console.error('crates/api/src/console/assets/studio.js is not what studio/ builds: run `npm run build` there and commit it');
    process.exit(1);
  }
  console.log('studio.js is what studio/ builds');
} else {
  await writeFile(target, built);
  console.log(`studio.js: ${Math.round(built.length / 1024)} KiB`);
}

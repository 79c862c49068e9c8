// Builds dist/djaffar.js (the classic script, committed, which ingest embeds) and dist/index.js (the ES module).
//   node build.mjs            writes them
//   node build.mjs --check    fails where the committed script is not what the source builds to
// Either fails when the script is above its limit.
import { readFile } from 'node:fs/promises';
import { brotliCompressSync } from 'node:zlib';
import { build } from 'esbuild';

const BROTLI_BYTES_MAX = 4096;
const SCRIPT = 'dist/djaffar.js';
const isCheck = process.argv.includes('--check');

const common = { bundle: true, minify: true, target: 'es2020', charset: 'utf8', legalComments: 'none' };
const banner = { js: '/* Djaffar, BSD-3-Clause */' };

const script = await build({ ...common, banner, entryPoints: ['src/script.ts'], format: 'iife', write: !isCheck, outfile: SCRIPT });
await build({ ...common, minify: false, entryPoints: ['src/index.ts'], format: 'esm', write: !isCheck, outfile: 'dist/index.js' });

const built = isCheck ? Buffer.from(script.outputFiles[0].contents) : await readFile(SCRIPT);
const bytes = brotliCompressSync(built).length;
console.log(`${SCRIPT}: ${built.length} bytes, ${bytes} with brotli (at most ${BROTLI_BYTES_MAX})`);
if (bytes > BROTLI_BYTES_MAX) {
  fail('too large');
}
if (isCheck && !built.equals(await readFile(SCRIPT).catch(() => Buffer.alloc(0)))) {
  fail('not what the source builds to: run `npm run build` in client/ and commit it');
}

function fail(reason) {
  console.error(`${SCRIPT} is ${reason}`);
  process.exit(1);
}

//! Builds the page into dist/, which is committed and embedded in the server: `npm run build` must leave git clean.
//! TWOCAN_SDK=file takes another module in the SDK's place, and OUT=folder another target (for trying the page without a server).

import { cp, mkdir, rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import * as esbuild from 'esbuild';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const out = process.env.OUT ?? here('dist');

await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });
await cp(here('public'), out, { recursive: true });

const common = { bundle: true, minify: true, sourcemap: false, legalComments: 'none', charset: 'utf8', logLevel: 'warning' };
await esbuild.build({
  ...common,
  entryPoints: [here('src/main.ts')],
  outfile: `${out}/app.js`,
  format: 'esm',
  target: ['es2022'],
  // From source, so that the page and the package cannot differ, and neither waits for the other's build.
  alias: { 'twocan/trace': here('../sdk/src/trace.ts'), twocan: process.env.TWOCAN_SDK ?? here('../sdk/src/index.ts') },
});
await esbuild.build({ ...common, entryPoints: [here('src/style/index.css')], outfile: `${out}/style.css` });

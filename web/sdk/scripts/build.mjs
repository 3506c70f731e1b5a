// Builds dist/: one minified module, and the types. The output depends on the sources and the lock file alone.
import { build } from 'esbuild'
import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { minify } from 'terser'
import { shortNames } from './names.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
process.chdir(root)
rmSync('dist', { recursive: true, force: true })

const { outputFiles: [map, bundle] } = await build({
  entryPoints: ['src/index.ts'],
  outfile: 'dist/twocan.js',
  write: false,
  bundle: true,
  minify: true,
  format: 'esm',
  platform: 'browser',
  target: 'es2022',
  sourcemap: 'external',
  legalComments: 'none',
  // Members that begin with an underscore are our own.
  mangleProps: /^_/,
  mangleCache: shortNames('src'),
  logLevel: 'warning',
})
// It finds 200 bytes more, of 9,950.
const { code, map: sourceMap } = await minify(bundle.text, {
  module: true,
  ecma: 2020,
  compress: { pure_getters: true, reduce_funcs: false },
  sourceMap: { content: map.text },
})
mkdirSync('dist')
writeFileSync('dist/twocan.js', code)
writeFileSync('dist/twocan.js.map', sourceMap)

const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc')
execFileSync(process.execPath, [tsc, '-p', 'tsconfig.types.json'], { stdio: 'inherit' })

// The types of the inside are nobody's business; what index.d.ts leads to stays.
const PUBLIC = ['index.d.ts', 'types.d.ts', 'errors.d.ts', 'io/ports.d.ts']
for (const file of readdirSync('dist', { recursive: true })) {
  if (file.endsWith('.d.ts') && !PUBLIC.includes(file.replaceAll('\\', '/'))) rmSync(join('dist', file))
}

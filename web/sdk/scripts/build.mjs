// Builds dist/: a minified module for each entry, and the types. The output depends on the sources and the lock file alone.
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

/** Each by itself: a page loads the core, and the others when it asks for them. */
const ENTRIES = { twocan: 'src/index.ts', list: 'src/list.ts', trace: 'src/trace.ts' }
let mangleCache = shortNames('src')
mkdirSync('dist')
for (const [name, source] of Object.entries(ENTRIES)) {
  const built = await build({
    entryPoints: [source],
    outfile: `dist/${name}.js`,
    write: false,
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    sourcemap: 'external',
    legalComments: 'none',
    external: ['./list.js'],
    // Members that begin with an underscore are our own, and have one name in all entries.
    mangleProps: /^_/,
    mangleCache,
    logLevel: 'warning',
  })
  mangleCache = built.mangleCache
  const [map, bundle] = built.outputFiles
  // It finds 200 bytes more in the core.
  const { code, map: sourceMap } = await minify(bundle.text, {
    module: true,
    ecma: 2020,
    compress: { pure_getters: true, reduce_funcs: false },
    sourceMap: { content: map.text },
  })
  writeFileSync(`dist/${name}.js`, code)
  writeFileSync(`dist/${name}.js.map`, sourceMap)
}

const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc')
execFileSync(process.execPath, [tsc, '-p', 'tsconfig.types.json'], { stdio: 'inherit' })

// The types of the inside are nobody's business; what index.d.ts and trace.d.ts lead to stays.
const PUBLIC = ['index.d.ts', 'trace.d.ts', 'types.d.ts', 'errors.d.ts', 'io/ports.d.ts']
for (const file of readdirSync('dist', { recursive: true })) {
  if (file.endsWith('.d.ts') && !PUBLIC.includes(file.replaceAll('\\', '/'))) rmSync(join('dist', file))
}

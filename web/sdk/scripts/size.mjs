// Fails when a built module, gzipped at level 9, is larger than we promise (docs/decisions/0022).
import { readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'

/** Bytes. */
const LIMITS = { 'twocan.js': 11_000, 'trace.js': 1_400, 'list.js': 600 }
for (const [file, limit] of Object.entries(LIMITS)) {
  const built = readFileSync(new URL(`../dist/${file}`, import.meta.url))
  const zipped = gzipSync(built, { level: 9 }).length
  console.log(`${file}: ${built.length} B minified, ${zipped} B gzipped, limit ${limit} B`)
  if (zipped <= limit) continue
  console.error(`${file} is ${zipped - limit} B too large`)
  process.exitCode = 1
}

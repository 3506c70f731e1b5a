// Fails when the built module, gzipped at level 9, is larger than we promise.
import { readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'

const LIMIT_BYTES = 9_950
const built = readFileSync(new URL('../dist/twocan.js', import.meta.url))
const zipped = gzipSync(built, { level: 9 }).length
console.log(`twocan.js: ${built.length} B minified, ${zipped} B gzipped, limit ${LIMIT_BYTES} B`)
if (zipped > LIMIT_BYTES) {
  console.error(`twocan.js is ${zipped - LIMIT_BYTES} B too large`)
  process.exit(1)
}

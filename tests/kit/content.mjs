// What test messages hold: the same bytes from the same seed in every peer (tests/interop/peers/README.md).

const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  for (let bit = 0; bit < 8; bit++) byte = byte & 1 ? (byte >>> 1) ^ 0xedb88320 : byte >>> 1
  return byte
})

/** CRC-32 of the message that a peer sends for `kind`, `size` and `seed`. */
export function hash(kind, size, seed) {
  let [crc, x] = [-1, seed >>> 0]
  for (let at = 0; at < size; at++) {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0
    const byte = kind === 'text' ? 97 + ((x >>> 24) % 26) : x >>> 24
    crc = table[(crc ^ byte) & 255] ^ (crc >>> 8)
  }
  return (crc ^ -1) >>> 0
}

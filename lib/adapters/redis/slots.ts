const SLOTS = 16_384

/** The slot of a Cluster that a key is in: CRC-16 (XMODEM) of what is in its first pair of braces, or of all of it (Redis Cluster specification, "Hash tags"). */
export function slotOf (key: string): number {
  let remainder = 0
  for (const byte of Buffer.from(/\{([^}]+)\}/.exec(key)?.[1] ?? key)) {
    remainder ^= byte << 8
    for (let bit = 0; bit < 8; bit++) remainder = (remainder & 0x8000) === 0 ? remainder << 1 : (remainder << 1) ^ 0x1021
    remainder &= 0xffff
  }
  return remainder % SLOTS
}

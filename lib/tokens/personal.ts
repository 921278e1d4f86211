import { createHmac } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { randomAlphanumeric } from '../random.ts'
import type { Key } from './secrets.ts'

/** Mint personal tokens, and tell under which digests one may be kept. Pure: no store is asked. */
export interface PersonalTokens {
  /** A new token, and its digest, the only form in which it is stored. */
  mint (): { readonly token: string, readonly digest: string }
  /** Whether a text is meant to be one of ours: it begins like one. */
  isMeant (text: string): boolean
  /** The digests that a token may have, one for each secret that verifies; none for what was never one of ours. */
  digestsOf (token: string): string[]
}

/** 190 random bits. ASVS 6.5.2 asks for 112. */
const SECRET_LENGTH = 32
const SHAPE = /^([0-9A-Za-z]{32})(\d{10})$/

/**
 * `<prefix>_`, 32 random characters, and their CRC-32 (of ISO 3309, as zlib has it) as 10 decimal digits: the layout of DHIS2.
 * The checksum is no secret. It tells a truncated token, and what somebody has made up, from one that is worth a look into
 * the store, and lets scanners of source code find leaked ones without asking anybody.
 */
export function createPersonalTokens (keys: readonly Key[], prefix: string): PersonalTokens {
  const start = `${prefix}_`
  const digest = (key: Key, token: string) => createHmac('sha256', key.bytes).update(`personal-token:${token}`).digest('base64url')
  const isMeant = (text: string) => text.startsWith(start)
  return {
    isMeant,
    mint () {
      const secret = randomAlphanumeric(SECRET_LENGTH)
      const token = start + secret + checksum(secret)
      return { token, digest: digest(keys[0]!, token) }
    },
    digestsOf (token) {
      const match = isMeant(token) ? SHAPE.exec(token.slice(start.length)) : null
      return match === null || match[2] !== checksum(match[1]!) ? [] : keys.map(key => digest(key, token))
    }
  }
}

const checksum = (secret: string) => String(crc32(secret)).padStart(10, '0')

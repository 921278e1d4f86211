import { createHmac } from 'node:crypto'
import type { OneTimePurpose } from '../../types/storage.ts'
import { randomToken } from '../random.ts'
import type { Key } from './secrets.ts'

/** Mint one-time tokens, and tell under which digests one may be kept. Pure: no store is asked. */
export interface OneTimeTokens {
  /** A new token, 256 random bits as 43 characters of base64url, and its digest, the only form in which it is stored. */
  mint (purpose: OneTimePurpose): { readonly token: string, readonly digest: string }
  /** The digests that a token may have, one for each secret that verifies; none for what was never one of ours. */
  digestsOf (token: string, purpose: OneTimePurpose): string[]
}

const TOKEN = /^[\w-]{43}$/

/** The purpose is part of what is digested, so a link to verify an address is never found as one to reset a password. */
export function createOneTimeTokens (keys: readonly Key[]): OneTimeTokens {
  const digest = (key: Key, token: string, purpose: OneTimePurpose) => createHmac('sha256', key.bytes).update(`one-time:${purpose}:${token}`).digest('base64url')
  return {
    mint (purpose) {
      const token = randomToken()
      return { token, digest: digest(keys[0]!, token, purpose) }
    },
    digestsOf: (token, purpose) => TOKEN.test(token) ? keys.map(key => digest(key, token, purpose)) : []
  }
}

// The only place that draws random values, so that tests can fix them.
import { randomBytes, randomFillSync } from 'node:crypto'

/** A new id: 144 random bits as 24 characters of base64url. ASVS 7.2.3 asks for 128. */
export const randomId = (): string => randomBytes(18).toString('base64url')

/** A uniform fraction in [0, 1). */
export const randomFraction = (): number => randomFillSync(new Uint32Array(1))[0]! / 2 ** 32

/** A new secret: 256 random bits as 43 characters of base64url. */
export const randomToken = (): string => randomBytes(32).toString('base64url')

const ALPHANUMERIC = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
/** Bytes from here on would make some characters likelier than others. */
const UNBIASED = 256 - 256 % ALPHANUMERIC.length

/** Random characters of `0-9A-Za-z`, 5.95 bits each. */
export function randomAlphanumeric (length: number): string {
  let text = ''
  while (text.length < length) {
    for (const byte of randomBytes(length)) {
      if (byte < UNBIASED && text.length < length) text += ALPHANUMERIC[byte % ALPHANUMERIC.length]
    }
  }
  return text
}

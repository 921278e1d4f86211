// The only place that draws random values, so that tests can fix them.
import { randomBytes, randomFillSync } from 'node:crypto'

/** A new id: 144 random bits as 24 characters of base64url. ASVS 7.2.3 asks for 128. */
export const randomId = (): string => randomBytes(18).toString('base64url')

/** A uniform fraction in [0, 1). */
export const randomFraction = (): number => randomFillSync(new Uint32Array(1))[0]! / 2 ** 32

/** A new secret: 256 random bits as 43 characters of base64url. */
export const randomToken = (): string => randomBytes(32).toString('base64url')

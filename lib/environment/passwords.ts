import type { PasswordOptions } from '../../types/options.ts'
import { oneOf } from '../options/members.ts'
import { importBcrypt } from '../passwords/bcrypt.ts'
import { given } from './given.ts'
import type { Reader } from './reader.ts'

const ALGORITHM = 'PASSWORD_ALGORITHM'
const ROUNDS = 'PASSWORD_SALT_HASH_ROUNDS'

/** The rounds are those of new digests if bcrypt makes them, else those of the old ones, which argon2id replaces. */
export function readPasswords (read: Reader): PasswordOptions | undefined {
  const isBcrypt = read.text(ALGORITHM, text => { oneOf(text, ['argon2id', 'bcrypt'], ALGORITHM) }) === 'bcrypt'
  const rounds = read.integer(ROUNDS, isBcrypt ? 10 : 4, 15)
  if (isBcrypt) return { algorithm: 'bcrypt', ...given({ rounds }) }
  return rounds === undefined ? undefined : { legacy: { bcryptRounds: rounds } }
}

/** Told here, so that it is told by the name that the operator knows. */
export async function requireBcrypt ({ algorithm }: PasswordOptions, read: Reader): Promise<void> {
  try {
    await importBcrypt()
  } catch {
    read.refuse(algorithm === 'bcrypt' ? ALGORITHM : ROUNDS, 'needs the package "bcrypt": npm install bcrypt')
  }
}

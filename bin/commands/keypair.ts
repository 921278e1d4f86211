import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { thumbprint } from '../../lib/tokens/key-pairs.ts'
import { usageError, type Command } from './command.ts'

const MAKERS: Readonly<Record<string, () => KeyObject>> = {
  ES256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
  EdDSA: () => generateKeyPairSync('ed25519').privateKey,
  RS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey,
  PS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
}

export const keypair: Command = {
  usage: '[--algorithm ES256|EdDSA|RS256|PS256]',
  summary: 'print a private key for the option "keys", as PEM; its name goes to the error output',
  words: 0,
  options: ['algorithm'],
  async run ({ algorithm = 'ES256' }) {
    const make = Object.hasOwn(MAKERS, algorithm) ? MAKERS[algorithm]! : undefined
    if (make === undefined) throw usageError(`Which algorithm? There are ${Object.keys(MAKERS).join(', ')}.`)
    const privateKey = make()
    return { text: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString().trimEnd(), note: `kid ${thumbprint(createPublicKey(privateKey))}` }
  }
}

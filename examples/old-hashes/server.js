import { scrypt, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import Fastify from 'fastify'
import accounts from 'fastify-accounts'
import { sqliteStorage } from 'fastify-accounts/kysely'

// What the old system stored: scrypt:<salt>:<hash>, both in hex.
async function verifyForeign (digest, password) {
  const [, salt, hash] = /^scrypt:([0-9a-f]{32}):([0-9a-f]{64})$/.exec(digest) ?? []
  if (hash === undefined) return false
  return timingSafeEqual(Buffer.from(hash, 'hex'), await promisify(scrypt)(password, Buffer.from(salt, 'hex'), 32))
}

/** People of the old system, with their digests as they are. */
export async function importPeople (app, people) {
  for (const { email, name, digest } of people) await app.accounts.users.import({ email, name, passwordDigest: digest })
}

export async function build (options) {
  const app = Fastify()
  await app.register(accounts, {
    appUrl: 'http://localhost:3000',
    storage: await sqliteStorage('accounts.db'),
    passwords: {
      verifyForeign,
      // The slowest that there may be, so that no refusal shows by its time who came from the old system.
      legacy: { bcryptRounds: 12, foreignMs: 100 }
    },
    ...options
  })
  app.get('/profile', { onRequest: app.authenticate }, async request => request.principal.user)
  return app
}

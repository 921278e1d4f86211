// What `npm run example:web` runs: the application of app.js on http://localhost:3000, with its database and a secret
// that is made once and kept, both in this folder.
import { randomBytes } from 'node:crypto'
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { sqliteStorage } from 'fastify-accounts/kysely'
import { build } from './app.js'

const { PORT = '3000', LEGACY_USERNAME, LEGACY_PASSWORD } = process.env
const SECRET_FILE = join(import.meta.dirname, '.accounts-secret')
const appUrl = `http://localhost:${PORT}`

/** The same secret at every start, or every cookie would be worthless after a restart. Only its owner may read it. */
function keepSecret () {
  try {
    writeFileSync(SECRET_FILE, randomBytes(48).toString('base64url'), { mode: 0o600, flag: 'wx' })
  } catch (error) {
    if (error.code !== 'EEXIST') throw error
    chmodSync(SECRET_FILE, 0o600)
  }
  return readFileSync(SECRET_FILE, 'utf8')
}

const app = await build({
  appUrl,
  secret: process.env.ACCOUNTS_SECRET ?? keepSecret(),
  storage: await sqliteStorage(join(import.meta.dirname, 'accounts.db')),
  // A name and password that several have shared until now prove who may become the owner; without them a code does.
  ...(LEGACY_USERNAME === undefined ? {} : { basic: { legacy: { username: LEGACY_USERNAME, password: LEGACY_PASSWORD } } })
}, { logger: { level: process.env.LOG_LEVEL ?? 'error' } })

try {
  await app.listen({ port: Number(PORT) })
} catch (error) {
  if (error.code !== 'EADDRINUSE') throw error
  console.error(`Port ${PORT} is in use: stop the program that listens there, or choose another: PORT=3001 npm run example:web`)
  process.exit(1)
}

console.log(`
Open ${appUrl}

Mail that the application sends is shown at ${appUrl}/mails; nothing leaves this machine.
Accounts are kept in accounts.db in ${import.meta.dirname}.
`)
const setupCode = await app.accounts.owner.setupCode()
if (setupCode !== null) console.log(`Nobody owns this installation yet. Open ${appUrl}/owner, with the setup code ${setupCode}\n`)

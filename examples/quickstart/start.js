// What `npm start` runs: server.js beside this file, with a secret that is made once and kept, a page to click on,
// and the curl lines to try. server.js alone is all that an application needs.
import { randomBytes } from 'node:crypto'
import { subscribe } from 'node:diagnostics_channel'
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { readPage } from './page/routes.js'

const SECRET_FILE = '.accounts-secret'
process.chdir(import.meta.dirname)

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

process.env.ACCOUNTS_SECRET ??= keepSecret()

// server.js knows nothing of the page: its routes are added while Fastify starts.
let app
subscribe('fastify.initialization', ({ fastify }) => { app = fastify.register(readPage) })

try {
  await import('./server.js')
} catch (error) {
  if (error.code !== 'EADDRINUSE') throw error
  console.error('Port 3000 is in use: stop the program that listens there, and start again.')
  process.exit(1)
}

const setupCode = await app.accounts.owner.setupCode()

console.log(`
fastify-accounts is listening on http://localhost:3000 (accounts.db and ${SECRET_FILE} are in ${import.meta.dirname}).

In a browser: open http://localhost:3000

With curl: register, ask who you are, list your sessions, log out, and be out at once.

curl -c jar -H 'content-type: application/json' -d '{"email":"ada@example.com","password":"violet harbor 92 lantern"}' http://localhost:3000/auth/register
curl -b jar -c jar http://localhost:3000/hello
curl -b jar -c jar http://localhost:3000/auth/sessions
curl -b jar -X POST http://localhost:3000/auth/logout
curl -b jar http://localhost:3000/hello

Log in again:

curl -c jar -H 'content-type: application/json' -d '{"email":"ada@example.com","password":"violet harbor 92 lantern"}' http://localhost:3000/auth/login
`)
if (setupCode !== null) console.log(`Nobody owns this installation yet. Whoever sends the setup code ${setupCode} to POST /auth/owner does.\n`)

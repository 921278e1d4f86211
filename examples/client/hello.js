// A program of somebody who has an account: it signs in once, and goes on with that session whenever it runs again.
/*
ACCOUNTS_USERNAME=ada@example.com ACCOUNTS_PASSWORD='violet harbor 92 lantern' node examples/client/hello.js
node examples/client/hello.js
*/
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { createBearerClient } from 'fastify-accounts/client'

const { ACCOUNTS_URL: url = 'http://localhost:3000', ACCOUNTS_USERNAME: username, ACCOUNTS_PASSWORD: password } = process.env
const FILE = 'refresh-token'

// As a whole or not at all, and for nobody else to read.
async function save (refreshToken) {
  if (refreshToken === null) return await rm(FILE, { force: true })
  await writeFile(`${FILE}.new`, refreshToken, { mode: 0o600 })
  await rename(`${FILE}.new`, FILE)
}

const refreshToken = await readFile(FILE, 'utf8').catch(() => undefined)
const accounts = createBearerClient({ url, refreshToken, save })

try {
  if (refreshToken === undefined) await accounts.login({ username, password })
  const response = await accounts.fetch('/hello')
  console.log(await response.json())
} catch (error) {
  console.error(error.message)
  process.exitCode = 1
}

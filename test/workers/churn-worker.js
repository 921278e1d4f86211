// Registers, logs in, rotates and changes passwords, and tells what was acknowledged, until somebody kills it, or the
// database; then it goes on when it can.
import { createServer, moveClock } from './server.js'

const PASSWORDS = ['violet harbor 92 lantern', 'copper meadow 57 compass']
const app = await createServer()

const post = async (url, jar, payload) => {
  const cookie = Object.entries(jar).map(([name, value]) => `${name}=${value}`).join('; ')
  const answer = await app.inject({ method: 'POST', url, headers: { cookie }, ...(payload === undefined ? {} : { payload }) })
  for (const { name, value } of answer.cookies) jar[name] = value
  return answer.statusCode
}

async function churn (lane) {
  for (let count = 0; ; count++) {
    const email = `lane${lane}-${process.pid}-${count}@example.com`
    let password = 0
    const jar = {}
    const tell = (step, intent) => process.send({ id: 'step', result: { email, step, password: PASSWORDS[password], jar: { ...jar }, ...(intent === undefined ? {} : { intent }) } })
    tell('begun')
    if (await post('/auth/register', jar, { email, password: PASSWORDS[0] }) !== 201) {
      // Whoever was told 503 may have been registered or not, and comes back.
      await new Promise(resolve => setTimeout(resolve, 20))
      continue
    }
    tell('registered')
    for (let round = 0; round < 3; round++) {
      moveClock(31_000)
      if (await post('/auth/refresh', jar) === 200) tell('rotated')
    }
    tell('changing', PASSWORDS[1])
    if (await post('/auth/password/change', jar, { currentPassword: PASSWORDS[0], newPassword: PASSWORDS[1] }) !== 204) continue
    password = 1
    tell('changed')
    if (await post('/auth/login', jar, { email, password: PASSWORDS[password] }) !== 200) continue
    tell('signed in')
    if (count % 3 !== 2) continue
    tell('signing out')
    if (await post('/auth/logout', { ...jar }) === 204) tell('signed out')
  }
}

process.on('disconnect', () => process.exit())
process.send({ id: 'ready' })
await Promise.all([0, 1, 2].map(churn))

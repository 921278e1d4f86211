// Trades one refresh token many times at once, at the moment at which other processes do the same.
import { createServer, moveClock, realNow, serve } from './server.js'

const app = await createServer()

serve({
  move: ({ milliseconds }) => moveClock(milliseconds),
  async race ({ token, racers, startAt }) {
    while (realNow() < startAt) { /* to the millisecond, together */ }
    const answers = await Promise.all(Array.from({ length: racers }, async () =>
      await app.inject({ method: 'POST', url: '/auth/refresh', headers: { cookie: `accounts_refresh=${token}` } })))
    return answers.map(({ statusCode, headers, cookies }) => ({
      statusCode,
      outcome: headers['accounts-refresh'] ?? null,
      successor: cookies.find(({ name }) => name === 'accounts_refresh')?.value ?? null
    }))
  }
})

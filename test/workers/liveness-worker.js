// Lets a browser of another process, or who holds a personal token, in for as long as it thinks it may.
import { createServer, realNow, serve, storage } from './server.js'

const app = await createServer(app => {
  app.get('/editors', { onRequest: app.guard({ roles: ['editor'] }) }, async () => 'in')
  app.get('/watch', { onRequest: app.authenticate }, async ({ principal: { signal, session } }) => {
    signal.addEventListener('abort', () => process.send({ id: 'aborted', result: { sessionId: session?.id, at: realNow() } }))
    return 'watched'
  })
})
const knock = async ({ url, cookie, authorization }) => (await app.inject({ url, headers: { ...(cookie && { cookie }), ...(authorization && { authorization }) } })).statusCode

serve({
  isCurrent: () => storage.feed.isCurrent() && storage.sessions.feed?.isCurrent() !== false,
  knock,
  /** Knock every millisecond until refused; when it was last let in. */
  async untilRefused ({ url = '/private', limit, ...credential }) {
    let lastIn = 0
    for (const end = realNow() + limit; realNow() < end;) {
      if (await knock({ url, ...credential }) !== 200) return { lastIn, refused: true }
      if (lastIn === 0) process.send({ id: 'let in' })
      lastIn = realNow()
      await new Promise(resolve => setTimeout(resolve, 1))
    }
    return { lastIn, refused: false }
  }
})

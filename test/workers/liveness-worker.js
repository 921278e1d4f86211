// Lets a browser of another process in for as long as it thinks it may.
import { createServer, realNow, serve } from './server.js'

const app = await createServer(app => {
  app.get('/watch', { onRequest: app.authenticate }, async ({ principal: { signal } }) => {
    signal.addEventListener('abort', () => process.send({ id: 'aborted', result: realNow() }))
    return 'watched'
  })
})
const knock = async (url, cookie) => (await app.inject({ url, headers: { cookie } })).statusCode

serve({
  knock: async ({ url, cookie }) => await knock(url, cookie),
  /** Knock without pause until refused; when it was last let in. */
  async untilRefused ({ cookie, limit }) {
    let lastIn = 0
    for (const end = realNow() + limit; realNow() < end;) {
      if (await knock('/private', cookie) !== 200) return { lastIn, refused: true }
      if (lastIn === 0) process.send({ id: 'let in' })
      lastIn = realNow()
      await new Promise(resolve => setImmediate(resolve))
    }
    return { lastIn, refused: false }
  }
})

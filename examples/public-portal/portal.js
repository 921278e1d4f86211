// The portal: a page on an origin of its own, which knows nothing of accounts.
import { readFile } from 'node:fs/promises'
import Fastify from 'fastify'

const FILES = {
  '/': ['index.html', 'text/html; charset=utf-8'],
  '/page.js': ['page.js', 'text/javascript; charset=utf-8'],
  '/page.css': ['page.css', 'text/css; charset=utf-8']
}

export async function build ({ api = process.env.API_URL ?? 'http://localhost:3000', token = process.env.PORTAL_TOKEN } = {}) {
  if (!token) throw new TypeError('Set PORTAL_TOKEN to the token of the portal; how to make it is said at the top of api.js')
  const app = Fastify()

  app.addHook('onSend', async (_request, reply) => {
    reply.header('content-security-policy', `default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' ${api}; img-src data:; form-action 'none'; frame-ancestors 'none'; base-uri 'none'`)
    reply.header('x-content-type-options', 'nosniff')
  })
  for (const [url, [name, type]] of Object.entries(FILES)) {
    const content = await readFile(new URL(`page/${name}`, import.meta.url))
    app.get(url, async (_request, reply) => reply.type(type).send(content))
  }

  // Not in the page's source, so that a new token needs no new page. It is no secret: every visitor gets it.
  app.get('/config.json', async (_request, reply) => reply.header('cache-control', 'no-store').send({ api, token }))

  return app
}

if (process.argv[1] === import.meta.filename) await (await build()).listen({ port: 8080 })

// The files of the page, and those of fastify-accounts/client as they are. A bundler would do as well.
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'

const TYPES = { html: 'text/html; charset=utf-8', js: 'text/javascript; charset=utf-8' }

export async function readPage (app) {
  const client = new URL('.', import.meta.resolve('fastify-accounts/client'))
  const files = [['/', new URL('index.html', import.meta.url)], ['/page.js', new URL('page.js', import.meta.url)]]
  for (const name of await readdir(client)) {
    if (name.endsWith('.js')) files.push([`/client/${name}`, new URL(name, client)])
  }
  for (const [path, file] of files) {
    const content = await readFile(file, 'utf8')
    app.get(path, { config: { accounts: false } }, async (_request, reply) => reply
      .type(TYPES[file.pathname.split('.').at(-1)])
      .header('content-security-policy', `default-src 'none'; script-src 'self' ${hashes(content)}; connect-src 'self'; img-src data:; form-action 'none'; frame-ancestors 'none'; base-uri 'none'`)
      .header('x-content-type-options', 'nosniff')
      .send(content))
  }
}

/** The one script that stands in the page itself says where the client is. */
function hashes (content) {
  const [, map] = /<script type="importmap">(.*?)<\/script>/s.exec(content) ?? []
  return map === undefined ? '' : `'sha256-${createHash('sha256').update(map).digest('base64')}'`
}

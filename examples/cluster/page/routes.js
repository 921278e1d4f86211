// Three static files, served with the headers that such a page should have.
import { readFile } from 'node:fs/promises'

const FILES = {
  '/': ['index.html', 'text/html; charset=utf-8'],
  '/page.js': ['page.js', 'text/javascript; charset=utf-8'],
  '/page.css': ['page.css', 'text/css; charset=utf-8']
}

export async function readPage (app) {
  for (const [url, [name, type]] of Object.entries(FILES)) {
    const content = await readFile(new URL(name, import.meta.url))
    app.get(url, async (_request, reply) => reply
      .type(type)
      .header('content-security-policy', "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; form-action 'none'; frame-ancestors 'none'; base-uri 'none'")
      .header('x-content-type-options', 'nosniff')
      .send(content))
  }
}

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { examine } from '../lib/diagnosis/index.ts'
import { probe } from '../lib/diagnosis/probe.ts'
import type { AccountsOptions } from '../types/index.ts'
import { freePort } from './services/free-port.js'
import { createApp } from './support/app.ts'

type Handler = (request: IncomingMessage, response: ServerResponse) => void

/** The address of a server that is ours to change. */
async function listen (t: Test, handler: Handler): Promise<string> {
  const server = createServer(handler)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.close() })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** An address behind which a server of ours runs, started only then: its `appUrl` is that address. */
async function serve (t: Test, options: Partial<AccountsOptions> = {}, change: (setCookie: string) => string = same => same) {
  let upstream = ''
  const url = await listen(t, (request, response) => {
    void (async () => {
      const answer = await fetch(upstream + request.url!, { method: request.method!, headers: Object.entries(request.headers).filter(([name]) => name === 'origin') as Array<[string, string]>, redirect: 'manual' })
      response.writeHead(answer.status, { 'set-cookie': answer.headers.getSetCookie().map(change), 'content-type': 'application/json' }).end(await answer.text())
    })()
  })
  const { app } = await createApp(t, { appUrl: url, ...options })
  upstream = await app.listen({ port: 0 })
  return { url, app }
}

/** What is found of the configuration of `app` at an address. */
async function find ({ app }: Pick<Awaited<ReturnType<typeof createApp>>, 'app'>, url: string): Promise<string[]> {
  const facts = await app.accounts.diagnose()
  return examine(facts, await probe(url, facts.routesPath, new URL(facts.appUrl).origin)).map(({ code, what }) => `${code}: ${what}`)
}

t.test('a server that is reached as it says there is nothing to say of, and nothing changes there', async t => {
  for (const options of [{}, { refresh: 'explicit', routes: { prefix: '/accounts' }, cookies: { sameSite: 'strict' } }] as const) {
    const { url, app } = await serve(t, options)
    t.strictSame(await find({ app }, url), [])
    t.strictSame(await find({ app }, `${url}/some/page`), [])
  }
})

t.test('an address that is not that of appUrl, that nobody answers, or somebody else', async t => {
  const { url, app } = await serve(t)
  t.match(await find({ app }, url.replace('127.0.0.1', 'localhost')), [/^url-differs: Browsers that come from http:\/\/localhost:\d+ are refused, as appUrl is http:\/\/127/])
  const nobody = async (appUrl: string) => await find(await createApp(t, { appUrl }), appUrl)
  t.match(await nobody(`http://127.0.0.1:${await freePort()}`), [/^url-unreachable: http:\/\/127\.0\.0\.1:\d+ could not be reached: .*ECONNREFUSED/])
  const cureOf = async (url: string) => examine(await app.accounts.diagnose(), await probe(url, '/auth', url)).find(({ code }) => code === 'url-unreachable')?.cure
  t.notMatch(await cureOf(`http://127.0.0.1:${await freePort()}`), /certificate/)
  t.match(await cureOf(`https://127.0.0.1:${await freePort()}`), /certificate/)
  const page = await listen(t, (_request, response) => { response.end('<h1>hello</h1>') })
  t.match(await nobody(page), [/^url-elsewhere: \S+\/auth\/me is not answered by this plugin, but with 200\.$/])
  const moved = await listen(t, (_request, response) => { response.writeHead(301, { location: 'https://www.example.com/' }).end() })
  t.match(await nobody(moved), [/^url-elsewhere: \S+ is not answered by this plugin, but with 301, which leads to https:\/\/www\.example\.com\/\.$/])
  t.match(await find(await createApp(t, { routes: false, appUrl: url }), url), [/^url-unchecked/])
})

t.test('a server of another configuration, and a proxy that changes cookies', async t => {
  const other = await serve(t, { appUrl: 'http://localhost:3000' })
  t.match(await find(await createApp(t, { appUrl: other.url }), other.url), [/^origin-refused/])
  const named = await serve(t, { cookies: { names: { access: 'mine' } } })
  t.match(await find(await createApp(t, { appUrl: named.url }), named.url), [/^cookies-changed: .*: accounts_access is missing\.$/])
  const changed = await serve(t, {}, setCookie => setCookie.replace('Path=/', 'Path=/app').replace('; HttpOnly', '').replace('accounts_refresh=;', 'accounts_refresh=; Domain=example.com;'))
  t.match(await find(changed, changed.url), [/^cookies-changed: .*: accounts_access lacks path=\/; accounts_access lacks httponly; accounts_access has path=\/app; accounts_refresh lacks path=\/; .*accounts_refresh has domain=example\.com/])
})

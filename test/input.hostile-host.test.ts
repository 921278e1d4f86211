import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { createApp, OTHER_PASSWORD, PASSWORD } from './support/app.ts'
import { createHost, type HostOptions } from './support/host.ts'

const ADA = { email: 'ada@example.com', password: PASSWORD }
const JSON_TYPE = { 'content-type': 'application/json' }
const KiB = 1024

/** What a host may have set up for its own routes, for good reasons or bad ones. None of it may reach ours. */
const HOSTS: Readonly<Record<string, Omit<HostOptions, 'accounts' | 'after'>>> = {
  'Ajv that coerces, fills in and removes': {
    server: { ajv: { customOptions: { coerceTypes: 'array', removeAdditional: 'all', useDefaults: true, allErrors: true } } }
  },
  'prototype poisoning let through': { server: { onProtoPoisoning: 'ignore', onConstructorPoisoning: 'ignore' } },
  'a large body limit': { server: { bodyLimit: 64 * KiB * KiB } },
  'a small body limit': { server: { bodyLimit: 10 } },
  'a validator that accepts everything': {
    before (app) { app.setValidatorCompiler(() => () => true) }
  },
  'a validator that makes values up': {
    before (app) { app.setValidatorCompiler(() => () => ({ value: { ...ADA, email: 'eve@example.com' } })) }
  },
  'a validator that refuses everything': {
    before (app) { app.setValidatorCompiler(() => () => ({ error: new Error('no') })) }
  },
  'attachValidation on every route': {
    before (app) { app.addHook('onRoute', route => { route.attachValidation = true }) }
  },
  'an error handler that answers 200': {
    before (app) { app.setErrorHandler(async (_error, _request, reply) => await reply.code(200).send({ fine: true })) }
  },
  'an error handler that shows the stack': {
    before (app) { app.setErrorHandler(async (error, _request, reply) => await reply.code(500).send({ stack: (error as Error).stack })) }
  },
  'parsers for every content type': {
    before (app) {
      app.removeAllContentTypeParsers()
      app.addContentTypeParser(['application/json', 'text/plain'], { parseAs: 'string', bodyLimit: KiB * KiB }, async (_request: unknown, body: string) => body === '' ? {} : JSON.parse(body.replace(/^\ufeff/, '')))
      app.addContentTypeParser(/.*/, { parseAs: 'string', bodyLimit: KiB * KiB }, async () => ({ ...ADA, email: 'eve@example.com' }))
      app.addContentTypeParser('*', { parseAs: 'string', bodyLimit: KiB * KiB }, async () => ({ ...ADA, email: 'eve@example.com' }))
    }
  },
  'a serializer of its own': {
    before (app) { app.setSerializerCompiler(() => () => '{"serialized":"by the host"}') }
  },
  'an envelope around every reply': {
    before (app) { app.setReplySerializer(payload => JSON.stringify({ data: payload })) }
  },
  'a schema error formatter': {
    server: { schemaErrorFormatter: () => new Error('formatted by the host') }
  },
  'body limits on every route': {
    before (app) { app.addHook('onRoute', route => { route.bodyLimit = 64 * KiB * KiB }) }
  },
  'an error handler on every route': {
    before (app) { app.addHook('onRoute', route => { route.errorHandler = (_error, _request, reply) => { void reply.code(200).send({ fine: true }) } }) }
  },
  'a coercing validator on every route': {
    before (app) {
      app.addHook('onRoute', route => {
        route.validatorCompiler = () => data => {
          const body = data as Record<string, unknown> | null | undefined
          if (typeof body === 'object' && body !== null) for (const [name, value] of Object.entries(body)) body[name] = String(value)
          return true
        }
      })
    }
  },
  'a serializer on every route': {
    before (app) { app.addHook('onRoute', route => { route.serializerCompiler = () => () => '{"serialized":"by the host"}' }) }
  },
  'paths that are read leniently': {
    server: { routerOptions: { caseSensitive: false, ignoreTrailingSlash: true, ignoreDuplicateSlashes: true } }
  }
}

const bodies: ReadonlyArray<readonly [title: string, type: string | null, body: string, expected: string]> = [
  ['array for a text', 'application/json', '{"email":["eve@example.com"],"password":"violet harbor 92 lantern"}', '400 FST_ACCOUNTS_INPUT_INVALID'],
  ['number for a text', 'application/json', '{"email":"eve@example.com","password":123456789012345678901234567890}', '400 FST_ACCOUNTS_INPUT_INVALID'],
  ['true for a text', 'application/json', '{"email":"eve@example.com","password":true}', '400 FST_ACCOUNTS_INPUT_INVALID'],
  ['null for a text', 'application/json', '{"email":null,"password":"violet harbor 92 lantern"}', '400 FST_ACCOUNTS_INPUT_INVALID'],
  ['one member too many', 'application/json', '{"email":"eve@example.com","password":"violet harbor 92 lantern","roles":["admin"]}', '400 FST_ACCOUNTS_INPUT_INVALID'],
  ['one too few', 'application/json', '{"email":"eve@example.com"}', '400 FST_ACCOUNTS_INPUT_INVALID'],
  ['nothing', 'application/json', '', '400 FST_ACCOUNTS_INPUT_INVALID'],
  ['a list', 'application/json', '[]', '400 FST_ACCOUNTS_INPUT_INVALID'],
  ['a member twice', 'application/json', '{"email":"x@example.com","email":"eve@example.com","password":"violet harbor 92 lantern"}', '400 FST_ACCOUNTS_JSON_INVALID'],
  ['__proto__', 'application/json', '{"email":"eve@example.com","password":"violet harbor 92 lantern","__proto__":{"a":1}}', '400 FST_ACCOUNTS_JSON_INVALID'],
  ['constructor', 'application/json', '{"email":"eve@example.com","password":"violet harbor 92 lantern","constructor":{"prototype":{"a":1}}}', '400 FST_ACCOUNTS_INPUT_INVALID'],
  ['no JSON', 'application/json', '{"email":', '400 FST_ACCOUNTS_JSON_INVALID'],
  ['BOM', 'application/json', '\ufeff{"email":"eve@example.com","password":"violet harbor 92 lantern"}', '400 FST_ACCOUNTS_JSON_INVALID'],
  ['text/plain', 'text/plain', '{"email":"eve@example.com","password":"violet harbor 92 lantern"}', '415 FST_ACCOUNTS_MEDIA_TYPE_UNSUPPORTED'],
  ['form', 'application/x-www-form-urlencoded', 'email=eve%40example.com&password=violet+harbor+92+lantern', '415 FST_ACCOUNTS_MEDIA_TYPE_UNSUPPORTED'],
  ['no content type', null, '{"email":"eve@example.com","password":"violet harbor 92 lantern"}', '415 FST_ACCOUNTS_MEDIA_TYPE_UNSUPPORTED'],
  ['too large', 'application/json', '{"email":"eve@example.com","password":"violet harbor 92 lantern"}'.padEnd(16 * KiB + 1), '413 FST_ACCOUNTS_BODY_TOO_LARGE']
]

for (const [title, options] of Object.entries(HOSTS)) {
  t.test(`I-01 I-02 a host with ${title}: our routes answer as they do elsewhere`, async t => {
    const { app, client } = await createHost(t, options)
    const plain = await createApp(t)
    const registered = await client().post('/auth/register', ADA)
    t.equal(registered.statusCode, 201)
    t.match(registered.json(), { user: { email: ADA.email, roles: [] }, session: { id: String } })
    await plain.client().post('/auth/register', ADA)
    const differences: string[] = []
    for (const path of ['/auth/register', '/auth/login']) {
      for (const [what, type, body, expected] of bodies) {
        const headers: Record<string, string> = type === null ? {} : { 'content-type': type }
        const [here, there] = [await client().post(path, Buffer.from(body), headers), await plain.client().post(path, Buffer.from(body), headers)]
        t.equal(`${there.statusCode} ${there.json().code}`, expected, `${path} ${what}`)
        const parts = ({ statusCode, body, headers }: typeof here) => `${statusCode} ${body} ${headers['content-type']} ${headers['set-cookie']}`
        if (parts(here) !== parts(there)) differences.push(`${path} ${what}: ${parts(here)}`)
      }
    }
    t.strictSame(differences, [])
    t.equal(await app.accounts.users.findByEmail('eve@example.com'), null)
    t.match((await client().post('/auth/login', { ...ADA, password: OTHER_PASSWORD })).json(), { statusCode: 401, code: 'FST_ACCOUNTS_CREDENTIALS_INVALID' })
    t.equal((await client().post('/auth/login', JSON.stringify(ADA).padEnd(16 * KiB), JSON_TYPE)).statusCode, 200, '16 KiB are read here too')
  })
}

t.test('I-01 what is done for our routes is not done to those of the host', async t => {
  const seen: unknown[] = []
  const { app } = await createHost(t, {
    server: { ajv: { customOptions: { coerceTypes: 'array' } }, bodyLimit: 64 * KiB },
    before (app) { app.setReplySerializer(payload => JSON.stringify({ data: payload })) },
    after (app: FastifyInstance) {
      app.post('/own', { schema: { body: { type: 'object', properties: { count: { type: 'number' } } } } }, async request => {
        seen.push(request.body)
        return { ok: true }
      })
    }
  })
  const response = await app.inject({ method: 'POST', url: '/own', payload: { count: '7', more: 'x'.repeat(32 * KiB) } })
  t.strictSame([response.statusCode, response.json()], [200, { data: { ok: true } }])
  t.match(seen, [{ count: 7 }])
  t.equal((await app.inject({ method: 'POST', url: '/own', payload: 'text', headers: { 'content-type': 'text/plain' } })).statusCode, 400, 'its parser took the text, its schema refused it')
  t.match((await app.inject({ method: 'POST', url: '/own', payload: '{', headers: JSON_TYPE })).json(), { code: 'FST_ERR_CTP_INVALID_JSON_BODY' })
})

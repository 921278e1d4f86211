import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import swagger from '@fastify/swagger'
import { Validator } from '@seriousme/openapi-schema-validator'
import Fastify from 'fastify'
import t from 'tap'
import { sqliteStorage } from '../lib/adapters/kysely/index.ts'
import * as errors from '../lib/errors.ts'
import accounts, { optionsFromEnv, securitySchemes } from '../lib/index.ts'
import { HOOK_NAMES } from '../lib/options/members.ts'
import { ROOT } from './support/root.ts'

const readme = readFileSync(join(ROOT, 'README.md'), 'utf8')
const examples = readdirSync(join(ROOT, 'examples'), { recursive: true, encoding: 'utf8' })
  .filter(path => path.endsWith('.js'))
  .map(path => readFileSync(join(ROOT, 'examples', path), 'utf8'))

const KEYS = [{ algorithm: 'ES256', privateKey: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey }] as const
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8')
const guides = readdirSync(join(ROOT, 'docs')).filter(name => name.endsWith('.md')).map(name => `docs/${name}`)

t.test('every snippet of the README and of the guides stands in an example, to the letter', async t => {
  for (const document of ['README.md', ...guides]) {
    const snippets = [...readFileSync(join(ROOT, document), 'utf8').matchAll(/```js\n([\s\S]*?)```/g)].map(match => match[1]!)
    if (document === 'README.md') t.ok(snippets.length >= 7)
    for (const snippet of snippets) t.ok(examples.some(example => example.includes(snippet)), `${document}: ${snippet.trim().split('\n', 1)[0]!}`)
  }
})

t.test('every guide is linked from the README, and what all documents link to in this repository is there', async t => {
  for (const guide of guides) t.ok(readme.includes(`](${guide})`), guide)
  const headings = (text: string) => [...text.matchAll(/^#+ (.+)$/gm)].map(match => match[1]!.toLowerCase().replace(/[^\w\- ]/g, '').replaceAll(' ', '-'))
  for (const document of ['README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md', 'examples/web/README.md', ...guides]) {
    const text = readFileSync(join(ROOT, document), 'utf8')
    for (const [, target] of text.matchAll(/\]\((?!https?:)([^)]+)\)/g)) {
      const [path, anchor] = target!.split('#') as [string, string?]
      const linked = path === '' ? join(ROOT, document) : join(ROOT, document, '..', path)
      t.ok(existsSync(linked), `${document}: ${target!}`)
      if (anchor !== undefined) t.ok(headings(readFileSync(linked, 'utf8')).includes(anchor), `${document}: ${target!}`)
    }
  }
})

t.test('the diagrams of the guides are drawn from what describes them, and each is shown', async t => {
  const shown = guides.map(guide => readFileSync(join(ROOT, guide), 'utf8')).join('\n')
  const { drawAll } = await import(join(ROOT, 'scripts/diagrams.js')) as { drawAll: () => Array<[string, string]> }
  for (const [name, svg] of drawAll()) {
    t.equal(readFileSync(join(ROOT, 'docs/images', name), 'utf8'), svg, `${name}: "npm run diagrams" draws it anew`)
    t.ok(shown.includes(`](images/${name})`), name)
  }
})

t.test('the curl lines of the README are those that the quickstart prints', async t => {
  const lines = readme.split('\n').filter(line => line.startsWith('curl '))
  t.ok(lines.length >= 5)
  for (const line of lines) t.ok(examples.some(example => example.includes(`\n${line}\n`)), line)
})

t.test('the table of errors in docs/errors.md and the table in the code are one', async t => {
  const documented = Object.fromEntries([...read('docs/errors.md').matchAll(/^\| `(FST_ACCOUNTS_\w+)` \| (\w+) \| .+ \|$/gm)].map(match => [match[1], match[2]]))
  const START = new Set(['FST_ACCOUNTS_OPTION_INVALID', 'FST_ACCOUNTS_ENVIRONMENT_INVALID', 'FST_ACCOUNTS_POLICY_INVALID', 'FST_ACCOUNTS_GUARD_UNCALLED', 'FST_ACCOUNTS_MIGRATION_PENDING', 'FST_ACCOUNTS_MIGRATION_FAILED', 'FST_ACCOUNTS_STORAGE_UNOPENED'])
  const inCode = Object.fromEntries(Object.entries(errors).filter(([name]) => name.startsWith('FST_')).map(([name, create]) => {
    const error = new (create as new (...args: unknown[]) => { code: string, statusCode: number })('x', 'x')
    t.equal(error.code, name, 'the export name is the code')
    return [name, START.has(name) ? 'start' : String(error.statusCode)]
  }))
  t.strictSame(documented, inCode)
})

t.test('docs/environment.md lists every variable that is read, and no other', async t => {
  const read = new Set<string>()
  const env = new Proxy<Record<string, string>>({}, { get (_target, name) { read.add(String(name)) } })
  await t.rejects(optionsFromEnv(env), { code: 'FST_ACCOUNTS_ENVIRONMENT_INVALID' })
  const rows = readFileSync(join(ROOT, 'docs/environment.md'), 'utf8').split('\n').filter(line => line.startsWith('| `'))
  const listed = rows.flatMap(row => [...row.split('|')[1]!.matchAll(/`(\w+)`/g)].map(match => match[1]!))
  t.strictSame(listed.sort(), [...read].sort())
  const example = readFileSync(join(ROOT, 'examples/from-environment/.env.example'), 'utf8')
  const inExample = [...example.matchAll(/^#? ?([A-Z_]+)=/gm)].map(match => match[1]!)
  t.strictSame(inExample.filter(name => !read.has(name)), ['PORT'], 'and the example has no other')
})

t.test('docs/hooks.md names every hook, and no other', async t => {
  t.strictSame([...read('docs/hooks.md').matchAll(/^\| `(\w+)` \|/gm)].map(match => match[1]).sort(), [...HOOK_NAMES].sort())
})

t.test('the README lists every route, and no other', async t => {
  const app = Fastify()
  const served: string[] = []
  app.addHook('onRoute', ({ method, url }) => { served.push(...[method].flat().filter(one => one !== 'HEAD').map(one => `${one} ${url}`)) })
  await app.register(accounts, { appUrl: 'http://localhost:3000', secret: randomBytes(32), storage: await sqliteStorage(':memory:'), basic: { users: true }, mailer: { send: async () => {} }, keys: KEYS, routes: { health: true } })
  t.teardown(async () => { await app.close() })
  const listed = [...readme.matchAll(/^\| `(GET|POST|PATCH|DELETE) (\/auth\/[^`]+)` \|/gm)].map(match => `${match[1]} ${match[2]}`)
  t.strictSame(listed.sort(), served.sort())
})

t.test('the OpenAPI document that @fastify/swagger makes shows every route with body, answers and security', async t => {
  const app = Fastify()
  await app.register(swagger, { openapi: { components: { securitySchemes } } })
  await app.register(accounts, { appUrl: 'http://localhost:3000', secret: randomBytes(32), storage: await sqliteStorage(':memory:'), basic: { users: true }, mailer: { send: async () => {} }, keys: KEYS, routes: { health: true } })
  await app.ready()
  t.teardown(async () => { await app.close() })
  interface Operation { summary: string, parameters?: Array<{ name: string, in: string }>, requestBody?: { content: Record<string, { schema: object }> }, responses: object, security?: object[] }
  t.strictSame(await new Validator().validate(app.swagger() as Record<string, unknown>), { valid: true })
  const { paths, components } = app.swagger() as unknown as { paths: Record<string, Record<string, Operation>>, components: { securitySchemes: object } }
  const operations = Object.values(paths).flatMap(path => Object.values(path))
  t.equal(operations.length, 32)
  for (const operation of operations) t.ok(operation.summary.length > 0 && Object.keys(operation.responses).includes('503'), operation.summary)
  t.match(paths['/auth/register']!.post!.requestBody!.content['application/json']!.schema, { required: ['email', 'password'], additionalProperties: false })
  t.strictSame(paths['/auth/users']!.get!.parameters!.map(parameter => `${parameter.in} ${parameter.name}`), ['query search', 'query cursor', 'query limit'])
  t.match(paths['/auth/users/{id}']!.patch!.requestBody!.content['application/json']!.schema, { minProperties: 1, additionalProperties: false })
  for (const url of ['/auth/.well-known/jwks.json', '/auth/health']) t.equal(paths[url]!.get!.security, undefined)
  t.match(paths['/auth/health']!.get!.responses, { 503: { content: { 'application/json': { schema: { required: ['ok', 'at', 'stores', 'feed', 'passwords', 'mail', 'unwritten'] } } } } })
  t.match(paths['/auth/sessions']!.get!.security, [{ accountsCookie: [] }])
  t.match(components.securitySchemes, { accountsCookie: { type: 'apiKey', in: 'cookie' } })
})

import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, posix } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import ts from 'typescript'
import { ROOT } from './support/root.ts'

const run = promisify(execFile)
const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Record<'dependencies' | 'optionalDependencies' | 'peerDependencies', Record<string, string>>

/** An empty project with the packed package, and nothing else but what the package declares that it needs. */
const project = mkdtempSync(join(tmpdir(), 'accounts-package-'))
t.teardown(() => { rmSync(project, { recursive: true, force: true }) })
const { stdout } = await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', project], { cwd: ROOT })
const [packed] = JSON.parse(stdout) as [{ filename: string, files: Array<{ path: string }> }]
const installed = join(project, 'node_modules/fastify-accounts')
mkdirSync(installed, { recursive: true })
await run('tar', ['-xzf', join(project, packed.filename), '-C', installed, '--strip-components=1'])
for (const name of [...Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies, ...manifest.peerDependencies }), '@types/node', '@types/better-sqlite3']) {
  const link = join(project, 'node_modules', name)
  mkdirSync(dirname(link), { recursive: true })
  symlinkSync(join(ROOT, 'node_modules', name), link)
}

const program = async (name: string, text: string) => {
  writeFileSync(join(project, name), text)
  return (await run(process.execPath, [name], { cwd: project, env: { ...process.env, NODE_OPTIONS: '' } })).stdout.trim()
}

const BODY = `
const app = Fastify()
app.register(accounts, { appUrl: 'http://localhost:3000', secret: randomBytes(32), storage: await sqliteStorage(':memory:') })
app.after(() => app.get('/hello', { onRequest: app.authenticate }, async request => ({ hello: request.principal.user.email })))
const registered = await app.inject({ method: 'POST', url: '/auth/register', payload: { email: 'ada@example.com', password: 'violet harbor 92 lantern' } })
const cookies = Object.fromEntries(registered.cookies.map(({ name, value }) => [name, value]))
console.log((await app.inject({ url: '/hello', cookies })).body)
await app.close()
`

t.test('the packed package holds the build, its documents and nothing else', async t => {
  const paths = packed.files.map(file => file.path)
  t.strictSame(paths.filter(path => !/^(dist|docs|examples|types)\//.test(path)).sort(), ['CHANGELOG.md', 'LICENSE', 'README.md', 'SECURITY.md', 'package.json'])
  // What the README leads to. By their endings, so that no secret or database that an example has made is published.
  t.strictSame(paths.filter(path => path.startsWith('docs/') && !/^docs\/([\w-]+\.md|images\/[\w-]+\.svg)$/.test(path)), [])
  t.strictSame(paths.filter(path => path.startsWith('examples/') && !/^examples\/[\w-]+\/([\w-]+\/)*[\w.-]*\.(css|env\.example|eta|html|js|md|svg|txt)$/.test(path)), [])
  t.strictSame(paths.filter(path => path.startsWith('types/') && !/^types\/[\w-]+\.ts$/.test(path)), [])
  t.strictSame(paths.filter(path => path.startsWith('dist/') && !/^dist\/(lib|types|bin)\/.*\.(js|d\.ts)$/.test(path)), [])
})

t.test('what its documents link to is in the package, but for what the README says is in the repository', async t => {
  const paths = packed.files.map(file => file.path)
  const elsewhere = ['README.md lib', 'README.md bench', 'README.md test', 'README.md CONTRIBUTING.md']
  const absent: string[] = []
  for (const document of paths.filter(path => path.endsWith('.md'))) {
    for (const [, link] of readFileSync(join(installed, document), 'utf8').matchAll(/\]\((?!https?:|#)([^)#]+)/g)) {
      const target = posix.join(posix.dirname(document), link!)
      if (!paths.some(path => path === target || path.startsWith(`${target}/`))) absent.push(`${document} ${target}`)
    }
  }
  t.strictSame(absent.sort(), elsewhere.sort())
})

t.test('it works in an empty project from ESM', async t => {
  t.equal(await program('esm.mjs', `
import { randomBytes } from 'node:crypto'
import Fastify from 'fastify'
import accounts from 'fastify-accounts'
import { sqliteStorage } from 'fastify-accounts/kysely'
import { openRedisStorage } from 'fastify-accounts/redis'
if (typeof openRedisStorage !== 'function') process.exit(1)
${BODY}`), '{"hello":"ada@example.com"}')
})

t.test('it works in an empty project from CommonJS', async t => {
  t.equal(await program('commonjs.cjs', `
const { randomBytes } = require('node:crypto')
const Fastify = require('fastify')
const { default: accounts } = require('fastify-accounts')
const { sqliteStorage } = require('fastify-accounts/kysely')
if (typeof require('fastify-accounts/redis').redisStorage !== 'function') process.exit(1)
if (typeof require('fastify-accounts/nodemailer').nodemailerMailer !== 'function') process.exit(1)
if (typeof require('fastify-accounts/fastify-session').sessionStore !== 'function') process.exit(1)
if (typeof require('fastify-accounts/testing').authAs !== 'function') process.exit(1)
if (typeof require('fastify-accounts/client').createClient().fetch !== 'function') process.exit(1)
void (async () => {${BODY}})()`), '{"hello":"ada@example.com"}')
})

t.test('it works in an empty project from TypeScript, with fields of the host\'s own on the user', async t => {
  writeFileSync(join(project, 'host.mts'), `
import session from '@fastify/session'
import { Cluster, Redis } from 'ioredis'
import Fastify from 'fastify'
import accounts, { optionsFromEnv, type AccountsOptions, type Principal } from 'fastify-accounts'
import { createBearerClient, type UserAnswer } from 'fastify-accounts/client'
import { sessionStore } from 'fastify-accounts/fastify-session'
import { sqliteStorage } from 'fastify-accounts/kysely'
import { nodemailerMailer } from 'fastify-accounts/nodemailer'
import { openRedisStorage, redisStorage, type RedisStorage } from 'fastify-accounts/redis'
import { authAs, createMailbox, storageContract } from 'fastify-accounts/testing'

declare module 'fastify' {
  interface AccountsUser { readonly plan: 'free' | 'paid' }
  interface Session { cart?: string[] }
}

const options: AccountsOptions = { appUrl: 'http://localhost:3000', secret: process.env.SECRET, storage: await sqliteStorage('accounts.db'), mailer: nodemailerMailer({ host: 'mail.example.com' }, { from: 'a@b.c' }) }
const app = Fastify()
await app.register(accounts, options)
await app.register(accounts, { ...await optionsFromEnv(process.env), protect: 'all' })
app.get('/plan', { onRequest: app.guard({ fresh: '5m' }) }, async request => {
  const principal: Principal | null = request.principal
  const plan: 'free' | 'paid' | undefined = principal?.user.plan
  return { plan, cases: storageContract.length }
})
await app.register(session, { secret: 'x', store: sessionStore(app, { keep: ['cart'] }) })
const headers: Record<string, string> = await authAs(app, { email: 'ada@example.com', roles: ['editor'] })
await app.inject({ headers: { ...headers, accept: 'text/html' } })
await app.register(accounts, { ...options, mailer: createMailbox() })
const parts: RedisStorage = redisStorage(new Redis('redis://localhost'), { prefix: 'shop:' })
await app.register(accounts, { ...options, storage: { ...options.storage, ...parts, ...redisStorage(new Cluster(['redis://localhost'])), ...await openRedisStorage('rediss://localhost') }, rateLimit: { shared: true } })
app.post('/sso', async (request, reply) => {
  const { expiresAt } = await reply.signIn({ id: 'x' })
  return { until: expiresAt.toISOString(), cart: request.session.cart, user: request.session.accountSession?.userId }
})
const answer: UserAnswer = await createBearerClient({ url: 'http://localhost:3000' }).me()
console.log(answer.user.email)
// @ts-expect-error: no such kind of credential
app.guard({ via: 'telepathy' })
`)
  const options = { noEmit: true, strict: true, module: ts.ModuleKind.NodeNext, target: ts.ScriptTarget.ES2023, types: ['node'], typeRoots: [join(project, 'node_modules/@types')] }
  const compiler = ts.createProgram([join(project, 'host.mts')], options)
  // What is in the declarations of others is their concern, and takes half a minute.
  const files = compiler.getSourceFiles().filter(({ fileName }) => fileName.startsWith(`${installed}/`) || fileName.endsWith('host.mts'))
  t.ok(files.length > 30, 'the declarations of the package among them')
  const faults = [...compiler.getOptionsDiagnostics(), ...compiler.getGlobalDiagnostics(), ...files.flatMap(file => [...compiler.getSyntacticDiagnostics(file), ...compiler.getSemanticDiagnostics(file)])]
  t.strictSame(faults.map(({ file, messageText }) => `${file?.fileName}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`), [])
})

t.test('the client is typed in a bundled page that knows nothing of Node, and needs no other package to run', async t => {
  writeFileSync(join(project, 'page.ts'), `
import { AccountsError, createBearerClient, createClient, type SignedInAnswer } from 'fastify-accounts/client'

declare module 'fastify-accounts/client' {
  interface User { readonly plan: 'free' | 'paid' }
}

const accounts = createClient()
export async function enter (email: string, password: string): Promise<'free' | 'paid'> {
  const { user, session }: SignedInAnswer = await accounts.login({ email, password }, { signal: AbortSignal.timeout(5000) })
  const response: Response = await accounts.fetch('/hello', { method: 'POST', body: new FormData() })
  document.title = session.expiresAt + response.status
  return user.plan
}
export const isLater = (error: unknown): boolean => error instanceof AccountsError && error.code === 'FST_ACCOUNTS_BUSY' && error.retryAfter !== null
export const api = createBearerClient({ url: 'https://app.example.com', fetch, save: token => { console.log(token?.length) } })
// @ts-expect-error: a member that no route takes
void accounts.login({ email: 'a@b.c', pasword: 'x' })
`)
  writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions: { noEmit: true, strict: true, skipLibCheck: true, target: 'es2022', lib: ['es2022', 'dom', 'dom.iterable'], types: [], module: 'esnext', moduleResolution: 'bundler' }, files: ['page.ts'] }))
  await t.resolves(run(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', '.'], { cwd: project, env: { ...process.env, NODE_OPTIONS: '' } }).catch((error: { stdout: string }) => { throw new TypeError(error.stdout) }))
  const bare = mkdtempSync(join(tmpdir(), 'accounts-page-'))
  t.teardown(() => { rmSync(bare, { recursive: true, force: true }) })
  cpSync(installed, join(bare, 'node_modules/fastify-accounts'), { recursive: true })
  writeFileSync(join(bare, 'page.mjs'), "import { createClient } from 'fastify-accounts/client'\nconsole.log(Object.keys(createClient()).length > 10)")
  t.equal((await run(process.execPath, ['page.mjs'], { cwd: bare, env: { ...process.env, NODE_OPTIONS: '' } })).stdout, 'true\n', 'without any other package')
})

t.test('without any optional package it can be imported, and what a variable needs is named', async t => {
  const bare = mkdtempSync(join(tmpdir(), 'accounts-bare-'))
  t.teardown(() => { rmSync(bare, { recursive: true, force: true }) })
  cpSync(installed, join(bare, 'node_modules/fastify-accounts'), { recursive: true })
  for (const name of [...Object.keys(manifest.dependencies), 'fastify']) {
    const link = join(bare, 'node_modules', name)
    mkdirSync(dirname(link), { recursive: true })
    symlinkSync(join(ROOT, 'node_modules', name), link)
  }
  writeFileSync(join(bare, 'start.mjs'), `
import { randomBytes } from 'node:crypto'
import { optionsFromEnv } from 'fastify-accounts'
const needed = { APP_URL: 'http://localhost:3000', JWT_AUTH_TOKEN_SECRET: randomBytes(48).toString('base64url'), DATABASE_URL: 'accounts.db' }
for (const more of [{}, { DATABASE_URL: 'postgres://localhost/x' }, { SMTP_HOST: 'localhost', SENDER_EMAIL: 'a@example.com', PASSWORD_SALT_HASH_ROUNDS: '10' }, { REDIS_URL: 'redis://localhost' }]) {
  console.log(await optionsFromEnv({ ...needed, ...more }).then(() => 'nothing was missing', error => error.message))
}`)
  const { stdout } = await run(process.execPath, ['start.mjs'], { cwd: bare, env: { ...process.env, NODE_OPTIONS: '' } })
  t.strictSame(stdout.trim().split('\n'), [
    'Could not open the database: a package is missing: npm install kysely better-sqlite3',
    'Could not open the database: a package is missing: npm install kysely pg',
    'Correct the environment:',
    '  PASSWORD_SALT_HASH_ROUNDS needs the package "bcrypt": npm install bcrypt',
    '  SMTP_HOST needs the package "nodemailer": npm install nodemailer',
    'Could not open Redis: a package is missing: npm install ioredis'
  ])
})

t.test('a better-sqlite3 that would end the process on this Node is refused instead, and the other one is taken without a word', async t => {
  const cramped = mkdtempSync(join(tmpdir(), 'accounts-sqlite-'))
  t.teardown(() => { rmSync(cramped, { recursive: true, force: true }) })
  cpSync(installed, join(cramped, 'node_modules/fastify-accounts'), { recursive: true })
  for (const name of [...Object.keys(manifest.dependencies), 'fastify', 'kysely']) {
    const link = join(cramped, 'node_modules', name)
    mkdirSync(dirname(link), { recursive: true })
    symlinkSync(join(ROOT, 'node_modules', name), link)
  }
  writeFileSync(join(cramped, 'open.mjs'), "import { sqliteStorage } from 'fastify-accounts/kysely'\nconsole.log(await sqliteStorage(':memory:').then(() => 'opened', error => error.code + ': ' + error.message))")
  const open = async (release: number) => {
    const link = join(cramped, 'node_modules/better-sqlite3')
    rmSync(link, { force: true })
    symlinkSync(join(ROOT, `node_modules/better-sqlite3-${release}`), link)
    return await run(process.execPath, ['open.mjs'], { cwd: cramped, env: { ...process.env, NODE_OPTIONS: '' } })
  }
  const isOld = Number(process.versions.node.split('.')[0]) < 22
  t.strictSame(await open(isOld ? 12 : 13), { stdout: 'opened\n', stderr: '' })
  if (isOld) t.match(await open(13), { stdout: /^FST_ACCOUNTS_STORAGE_UNOPENED: Could not open SQLite: better-sqlite3 13\.[\d.]+ would end the process on Node 20\.[\d.]+: npm install better-sqlite3@12\n$/, stderr: '' })
})

t.test('its command answers', async t => {
  const { stdout } = await run(process.execPath, [join(installed, 'dist/bin/fastify-accounts.js'), 'secret'], { env: { ...process.env, NODE_OPTIONS: '' } })
  t.match(stdout, /^[\w-]{64}\n$/)
})

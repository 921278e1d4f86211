// Runs test files, each in a process of its own, and writes one TAP of them all: those of the arguments, or every
// one. It does what tap's own program does, except that this has each process load module hooks of its plugins,
// which takes longer than most of the tests do: here the processes run what the compiler made of the tests
// (tsconfig.test.json), without any hook.
import { readdirSync } from 'node:fs'
import { join, relative } from 'node:path'
import { t } from 'tap'

const COMPILED = '.tap/compiled'
const TIMEOUT_SECONDS = 120
// nothing is skipped in silence
const SETTINGS = { TAP_TIMEOUT: String(TIMEOUT_SECONDS), TAP_FAIL_SKIP: '1', TAP_FAIL_TODO: '1' }

/** Tests of behaviour whose subject is what the storage keeps: they run on SQLite, then once more on PostgreSQL. */
const ON_POSTGRES_TOO = [
  'emails', 'fastify-session', 'fastify-session.ends', 'liveness', 'liveness.signal', 'login', 'outbox', 'outbox.servers', 'owner',
  'personal-tokens', 'personal-tokens.life', 'recovery', 'rotation', 'rotation.acknowledgement', 'sessions', 'throttle', 'users',
  'users.import', 'users.races', 'users.services'
]

/** And whose subject is what Redis can keep: once more on that. */
const ON_REDIS_TOO = ['emails', 'liveness', 'liveness.signal', 'login', 'personal-tokens', 'recovery', 'rotation', 'rotation.acknowledgement', 'sessions', 'throttle']

t.jobs = 3
t.setTimeout(0)
const given = process.argv.slice(2)
if (given.length > 0) given.forEach(file => run(file))
else runAll()

function runAll () {
  for (const file of readdirSync('test')) if (file.endsWith('.test.ts')) run(`test/${file}`)
  // None of them takes long, so that at the end none is waited for.
  for (const name of ON_POSTGRES_TOO) run(`test/${name}.test.ts`, { TEST_STORAGE: 'postgres' })
  for (const name of ON_REDIS_TOO) run(`test/${name}.test.ts`, { TEST_STORAGE: 'redis' })
}

// NODE_OPTIONS is where tap itself puts such a hook.
function run (file, env = {}) {
  const script = join(COMPILED, relative('.', file).replace(/\.ts$/, '.js'))
  void t.spawn('env', ['-u', 'NODE_OPTIONS', process.execPath, '--enable-source-maps', script], {
    name: env.TEST_STORAGE ? `${file} on ${env.TEST_STORAGE}` : file,
    at: null,
    stack: '',
    buffered: true,
    timeout: TIMEOUT_SECONDS * 1000,
    env: { ...process.env, ...SETTINGS, ...env }
  })
}

// Runs test files, several side by side, and writes one TAP of them all: those of the arguments, or every one. It does
// what tap's own program does, except that this has a process for each file load module hooks of its plugins, which takes
// longer than most of the tests do: here the processes run what the compiler made of the tests (tsconfig.test.json),
// without any hook, and short ones share a process (together.js).
import { readdirSync } from 'node:fs'
import { join, relative } from 'node:path'
import { t } from 'tap'

const COMPILED = '.tap/compiled'
const TIMEOUT_SECONDS = 120
// nothing is skipped in silence
const SETTINGS = { TAP_FAIL_SKIP: '1', TAP_FAIL_TODO: '1' }

/** Tests of behaviour whose subject is what the storage keeps: they run on SQLite, then once more on PostgreSQL. */
const ON_POSTGRES_TOO = [
  'emails', 'fastify-session', 'fastify-session.ends', 'liveness', 'liveness.signal', 'login', 'outbox', 'outbox.servers', 'owner',
  'personal-tokens', 'personal-tokens.life', 'recovery', 'rotation', 'rotation.acknowledgement', 'sessions', 'throttle', 'users',
  'users.import', 'users.races', 'users.services'
]

/** And whose subject is what Redis can keep: once more on that. */
const ON_REDIS_TOO = ['emails', 'liveness', 'liveness.signal', 'login', 'personal-tokens', 'recovery', 'rotation', 'rotation.acknowledgement', 'sessions', 'throttle']

/** What makes a place for itself as it is read (a folder, a server), or takes long: it has a process of its own. */
const ALONE = /^(browser|examples|liveness\.processes|keys\.(options|rotation)|mailer|options|outbox\.crash|package|redis|rotation\.(model|races)|stopping|storage|users\.import)\b/
/** What measures how long somebody waits, and has no time to spare: it has the machine for itself. */
const UNDISTURBED = ['faults', 'storage.file', 'storage.postgres-refusals', 'storage.postgres-silence']
const TOGETHER = 6

t.jobs = 4
t.setTimeout(0)
const given = process.argv.slice(2)
if (given.length > 0) given.forEach(file => run([file]))
else runAll()

function runAll () {
  const names = readdirSync('test').filter(file => file.endsWith('.test.ts')).map(file => file.slice(0, -'.test.ts'.length)).filter(name => !UNDISTURBED.includes(name))
  for (const name of names.filter(name => ALONE.test(name))) run([fileOf(name)])
  for (const group of groupsOf(names.filter(name => !ALONE.test(name)))) run(group)
  for (const group of groupsOf(ON_POSTGRES_TOO)) run(group, { TEST_STORAGE: 'postgres' })
  for (const group of groupsOf(ON_REDIS_TOO)) run(group, { TEST_STORAGE: 'redis' })
  // Only what is buffered runs beside others.
  for (const name of UNDISTURBED) run([fileOf(name)], {}, { buffered: false })
}

function fileOf (name) {
  return `test/${name}.test.ts`
}

function groupsOf (names) {
  return Array.from({ length: Math.ceil(names.length / TOGETHER) }, (_, index) => names.slice(TOGETHER * index, TOGETHER * (index + 1)).map(fileOf))
}

// NODE_OPTIONS is where tap itself puts a hook.
function run (files, env = {}, { buffered = true } = {}) {
  const scripts = files.map(file => join(COMPILED, relative('.', file).replace(/\.ts$/, '.js')))
  const seconds = TIMEOUT_SECONDS * files.length
  void t.spawn('env', ['-u', 'NODE_OPTIONS', process.execPath, '--enable-source-maps', ...(files.length > 1 ? ['test/together.js'] : []), ...scripts], {
    name: `${files.join(', ')}${env.TEST_STORAGE ? ` on ${env.TEST_STORAGE}` : ''}`,
    at: null,
    stack: '',
    buffered,
    timeout: seconds * 1000,
    env: { ...process.env, ...SETTINGS, TAP_TIMEOUT: String(seconds), ...env }
  })
}

// What `npm test` runs: the build, the checks, then the tests with the services they need. With
// arguments (`node test/run.js test/foo.test.ts`): the build and the tests of those files only.
// The last line is always "N passed, N failed"; the exit code is 0 only when nothing failed.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { startServices } from './services/index.js'
import { endWithProcess } from './services/lifetime.js'
import { TapOutput } from './tap-output.js'

const ROOT = join(import.meta.dirname, '..')
const NOT_RUN = { passed: 0, failed: 1 }
const files = process.argv.slice(2)

let counts = NOT_RUN
process.once('exit', () => {
  if (counts.failed > 0) process.exitCode ||= 1
  console.log(`${counts.passed} passed, ${counts.failed} failed`)
})

process.chdir(ROOT)
await Promise.all([
  step('build', () => npmRun('build')),
  step('tests compiled', () => npmRun('build:test'))
])
if (files.length === 0) {
  await Promise.all([
    ...['lint:code', 'lint:types', 'lint:unused'].map((script) => step(script, () => npmRun(script))),
    step('type tests', () => npmRun('test:types')),
    step('package', () => npmRun('test:package')),
    step('API reference', () => npmRun('test:api'))
  ])
}
const services = await step('services', startServices)
counts = await step('tests', () => runTests(services.env))
await services.stop()
process.exit()

async function step (name, work) {
  console.log(`== ${name}`)
  const start = performance.now()
  const duration = () => `${((performance.now() - start) / 1000).toFixed(1)} s`
  try {
    const value = await work()
    console.log(`== ${name}: done in ${duration()}\n`)
    return value
  } catch (error) {
    console.error(error.message)
    console.log(`== ${name}: failed after ${duration()}\n`)
    process.exit(1)
  }
}

// What the script says is shown when it has ended: others may run beside it. To pack the package would build it
// again, and take away what the others read.
async function npmRun (script) {
  const output = []
  const code = await run('npm', ['run', '--silent', script], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, npm_config_ignore_scripts: 'true' }
  }, (line) => output.push(line))
  if (output.length > 0) console.log(output.join('\n'))
  if (code !== 0) throw new Error(`npm run ${script} failed`)
}

// tap's own counts, made to agree with its exit code: a run that failed without a failed assertion
// (a bail-out, say), or in which nothing passed, has a failure.
async function runTests (env) {
  const output = new TapOutput()
  const code = await run(process.execPath, ['test/files.js', ...files], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...env }
  }, (line) => {
    for (const shown of output.read(line)) console.log(shown)
  })
  const { passed, failed } = output.counts ?? NOT_RUN
  const succeeded = code === 0 && passed > 0
  return { passed, failed: succeeded ? failed : Math.max(failed, 1) }
}

// In a process group of its own, all of which gets the signal: tap does not always pass it on.
async function run (command, args, options, onLine) {
  const child = spawn(command, args, { ...options, detached: true })
  const ended = once(child, 'close')
  const signalGroup = (signal) => {
    if (child.pid && child.exitCode === null && child.signalCode === null) process.kill(-child.pid, signal)
  }
  const untie = endWithProcess({
    stop: async () => {
      signalGroup('SIGTERM')
      await ended
    },
    kill: () => signalGroup('SIGKILL')
  })
  for (const stream of [child.stdout, child.stderr]) {
    if (onLine && stream) createInterface({ input: stream }).on('line', onLine)
  }
  const [code] = await ended.finally(untie)
  return code
}

// The model of rotation and the properties of tokens for a long time, with so many times the cases of the test run:
//   node test/soak/model.js [times, 60 by default] [seed]
// A failure prints its seed and path; FC_PATH=... repeats it.
import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

const FILES = ['rotation.model', 'personal-tokens.model', 'personal-tokens.matrix', 'personal-tokens.addresses', 'personal-tokens.decide', 'personal-tokens.referrers', 'tokens.properties']

const [times = '60', seed = String(Date.now() % 2 ** 31)] = process.argv.slice(2)
const require = createRequire(import.meta.url)
const manifest = require.resolve('tap/package.json')
const tap = join(dirname(manifest), require(manifest).bin.tap)
const start = performance.now()

console.log(`${times} times the cases, seed ${seed}`)
const child = spawn(process.execPath, [tap, '--disable-coverage', '--reporter=tap', '--timeout=0', ...FILES.map(name => `test/${name}.test.ts`)], {
  cwd: join(import.meta.dirname, '..', '..'),
  stdio: 'inherit',
  env: { ...process.env, FC_TIMES: times, FC_SEED: seed }
})
child.on('exit', code => {
  console.log(`${((performance.now() - start) / 1000).toFixed(0)} s`)
  process.exitCode = code ?? 1
})

// The model test of rotation for a long time: node test/soak/model.js [runs, 1000 by default] [seed]
// A failure prints its seed and path; FC_PATH=... repeats it.
import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

const [runs = '1000', seed = String(Date.now() % 2 ** 31)] = process.argv.slice(2)
const require = createRequire(import.meta.url)
const manifest = require.resolve('tap/package.json')
const tap = join(dirname(manifest), require(manifest).bin.tap)
const start = performance.now()

console.log(`${runs} runs of seed ${seed}`)
const child = spawn(process.execPath, [tap, '--disable-coverage', '--reporter=tap', '--timeout=0', 'test/rotation.model.test.ts'], {
  cwd: join(import.meta.dirname, '..', '..'),
  stdio: 'inherit',
  env: { ...process.env, FC_RUNS: runs, FC_SEED: seed }
})
child.on('exit', code => {
  console.log(`${((performance.now() - start) / 1000).toFixed(0)} s`)
  process.exitCode = code ?? 1
})

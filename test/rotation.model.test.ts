import fc from 'fast-check'
import t from 'tap'
import { begin, commands, conclude, type Tally } from './support/rotation-commands.ts'
import { createWorld } from './support/rotation-world.ts'
import { runs } from './support/runs.ts'

// FC_SEED and FC_PATH repeat a run of `node test/soak/model.js` that failed.
const RUNS = runs(15)
const SEED = Number(process.env.FC_SEED ?? 20260721)

for (const [withThief, title] of [
  [false, 'S-I1 to S-I12 tabs, lost and reordered answers, crashes: nobody is logged out who is not to be'],
  [true, 'R-03 S-I4 a thief who copies the cookies at any moment is found, and nobody else is hurt']
] as const) {
  t.test(title, { timeout: 24 * 3600 * 1000 }, async t => {
    const world = await createWorld(t)
    const tally: Tally = {}
    const property = fc.asyncProperty(fc.commands(commands(withThief), { maxCommands: 60, size: '+1' }), async given => {
      const model = await begin(world, tally)
      await fc.asyncModelRun(() => ({ model, real: world }), given)
      await conclude(model, world)
    })
    const details = await fc.check(property, { numRuns: RUNS, seed: SEED, ...(process.env.FC_PATH === undefined ? {} : { path: process.env.FC_PATH }) })
    const failure = details.failed ? `${fc.defaultReportMessage(details) ?? ''}\n${String((details.errorInstance as Error | null)?.stack)}` : ''
    t.equal(failure, '', `${details.numRuns} runs of seed ${details.seed}`)
    t.comment(tally)
    for (const name of ['rotated', 'window', 'recovered', 'refused', 'crash', 'restart', 'deliver', ...(withThief ? ['alarm', 'steal'] : [])]) t.ok((tally[name] ?? 0) >= RUNS / 10, `there was enough of ${name}`)
  })
}

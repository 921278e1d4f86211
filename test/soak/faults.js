// Everything that servers rest on fails, scenario by scenario, while clients live on them. Prints a table of what must never
// happen, and of how long the rest took; fails if anything of that has happened, or something took longer than it may.
//   node test/soak/faults.js [--rounds 30] [--only F-01,F-02] [--sessions postgres,redis] [--clients 12] [--patience 500] [--json]
import { parseArgs } from 'node:util'
import { ELSEWHERE } from '../faults/elsewhere.js'
import { findFaults, toRow } from '../faults/figures.js'
import { runOutage } from '../faults/outage.js'
import { SCENARIOS } from '../faults/scenarios/index.js'
import { createWorld, startStores } from '../faults/world.js'

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '30' },
    only: { type: 'string' },
    sessions: { type: 'string', default: 'postgres,redis' },
    clients: { type: 'string', default: '12' },
    patience: { type: 'string', default: '500' },
    json: { type: 'boolean', default: false }
  }
})
const scale = { rounds: Number(options.rounds), clients: Number(options.clients), patience: Number(options.patience) }
const only = options.only?.split(',')
const isWanted = ({ id, title }) => only === undefined || only.some(name => name === id || title.includes(name))

const stores = await startStores()
const results = []
for (const setup of options.sessions.split(',')) {
  const scenarios = SCENARIOS.filter(scenario => scenario.setups.includes(setup) && isWanted(scenario))
  if (scenarios.length === 0) continue
  const world = await createWorld(setup, stores)
  for (const outage of scenarios) {
    const result = { outage, setup, figure: await (outage.run ?? (async () => await runOutage(outage, world, scale)))(world, scale) }
    results.push({ ...result, faults: findFaults(result, scale.patience) })
    if (!options.json) console.log(`${outage.id} ${outage.title}, sessions in ${setup}: ${results.at(-1).faults.join('; ') || 'as it should be'}`)
  }
  await world.close()
}
await stores.stop()
if (options.json) console.log(JSON.stringify(results.map(({ outage, ...result }) => ({ id: outage.id, title: outage.title, ...result }))))
else console.table([...results, ...ELSEWHERE.filter(({ outage }) => isWanted(outage))].sort((one, other) => one.outage.id.localeCompare(other.outage.id)).map(toRow))
process.exitCode = results.every(({ faults }) => faults.length === 0) ? 0 : 1

import { setTimeout as pause } from 'node:timers/promises'
import { createClient } from '../client.js'
import { at, figureOf } from '../figures.js'

const HERD = 600
const PER_USER = 50
const OUTAGE_MS = 1500
const RETURN_MS = 60_000

/** The store of sessions is gone for a while, and everybody's access token ends meanwhile; then all come back. */
export default {
  id: 'F-37',
  title: `${HERD} clients come back at once`,
  setups: ['postgres', 'redis'],
  isCrowd: true,
  async run (world, { rounds }) {
    const history = []
    const [returns, waits] = [[], {}]
    let late = 0
    for (let round = 0; round < rounds; round++) {
      const clients = await gather(world, round, history)
      await world.step()
      const network = world.networks[world.setup]
      network.refuse(true)
      network.cut()
      let healedAt = Infinity
      const coming = clients.map(async client => {
        await pause(Math.random() * 200)
        await client.persist(async () => {
          const answer = await client.refresh(world.port())
          const wait = answer.headers['retry-after']
          if (wait !== undefined) waits[wait] = (waits[wait] ?? 0) + 1
          return answer
        }, AbortSignal.timeout(RETURN_MS))
        if (Date.now() - healedAt > RETURN_MS) late++
        else returns.push(Math.max(0, Date.now() - healedAt))
        history.push({ t0: 0, t1: 0, client: client.name, op: 'returned', token: '', result: client.comeBackAt === 0 ? 'ok' : 'not' })
        client.close()
      })
      await pause(OUTAGE_MS)
      network.refuse(false)
      healedAt = Date.now()
      await Promise.all(coming)
    }
    const remark = `all are back after ${at(returns, 0.5)}/${at(returns, 0.99)}/${at(returns, 1)} ms; told to wait ${Object.entries(waits).map(([seconds, count]) => `${seconds} s: ${count}`).join(', ')}`
    return { n: rounds, ...figureOf(history, { decisions: (await world.takeDecisions()).splice(0) }), faults: late > 0 ? [`${late} were not back in time`] : [], remark }
  }
}

async function gather ({ nodes: [node] }, round, history) {
  const sessions = []
  while (sessions.length < HERD) sessions.push(...await node.ask('begin', { count: PER_USER }))
  return sessions.map(({ accessToken, refreshToken }, index) => Object.assign(createClient(`herd ${round} ${index}`, history, RETURN_MS), { cookies: { accounts_access: accessToken, accounts_refresh: refreshToken } }))
}

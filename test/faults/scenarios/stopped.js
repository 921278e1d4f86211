import { setTimeout as pause } from 'node:timers/promises'
import { createClient } from '../client.js'
import { figureOf } from '../figures.js'
import { PASSWORD } from '../people.js'

const EXIT_MS = 10_000

/** A server is told to stop while many use it; each of them goes on at another. */
export default {
  id: 'F-34',
  title: 'SIGTERM under load',
  setups: ['postgres', 'redis'],
  async run (world, { rounds, clients: count }) {
    const history = []
    const [faults, exits] = [[], []]
    let dropped = 0
    const clients = await Promise.all(Array.from({ length: count }, async (_, index) => {
      const client = createClient(`${index}`, history)
      await client.persist(async () => await client.send('join', world.nodes[0].port, 'POST', '/auth/register', { body: { email: `leaving-${index}-${Date.now()}@example.com`, password: PASSWORD } }))
      return client
    }))
    for (let round = 0; round < rounds; round++) {
      const leaving = world.nodes.at(-1)
      await world.step()
      const busy = clients.map(async client => await useUntilGone(client, leaving.port))
      await pause(100 + Math.random() * 400)
      const start = Date.now()
      const { begun, answered } = await leaving.stop()
      exits.push(Date.now() - start)
      dropped += begun - answered
      await Promise.all(busy)
      await Promise.all(clients.map(async client => {
        const { result } = await client.persist(async () => await client.enter(world.nodes[0].port))
        history.push({ t0: start, t1: Date.now(), client: client.name, op: 'returned', token: '', result })
      }))
      await world.replace(world.nodes.length - 1)
    }
    for (const client of clients) client.close()
    if (Math.max(...exits) > EXIT_MS) faults.push(`a server took ${Math.max(...exits)} ms to stop`)
    const refused = history.filter(({ result }) => result === 'silent')
    const figure = figureOf(history.filter(entry => !refused.includes(entry)), { decisions: (await world.takeDecisions()).splice(0) })
    return { n: rounds, ...figure, hung: dropped, faults, remark: `gone after ${Math.max(...exits)} ms at the latest` }
  }
}

/** Whoever is not answered, or told that the server is going, comes to it no more. */
async function useUntilGone (client, port) {
  for (;;) {
    const { result } = await (Math.random() < 0.5 ? client.enter(port) : client.refresh(port))
    if (result === 'silent' || result === 'unavailable') return
  }
}

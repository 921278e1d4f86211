import { createClient, sessionOf } from './client.js'
import { figureOf } from './figures.js'
import { PASSWORD } from './people.js'

const WHEN = ['when answered', 'on the way']

/**
 * The connection breaks over the rotation of a token, before the server has it or when it has answered. The client, who is told 503,
 * comes again; in every other round so late that only a lost answer explains it.
 */
export function losingAnswers ({ id, title, setups, store, patternOf }) {
  return {
    id,
    title,
    setups,
    async run (world, { rounds }) {
      const history = []
      const client = createClient('client', history)
      await client.send('join', world.port(), 'POST', '/auth/register', { body: { email: `lost-${Date.now()}@example.com`, password: PASSWORD } })
      const session = sessionOf(client.cookies)
      const generation = async () => (await world.storage.sessions.find(session)).generation
      // A script that is new to Redis is sent twice.
      await world.step()
      await client.refresh(world.port())
      let lost = 0
      for (let round = 0; round < rounds; round++) {
        await world.step()
        const before = await generation()
        const isLost = world.networks[store].lose(patternOf(session), WHEN[round % 2])
        await client.refresh(world.port())
        if (isLost()) lost++
        history.push({ t0: 0, t1: 0, client: client.name, op: 'executed', token: session, result: await generation() - before })
        if (round % 4 > 1) await world.step()
        const { result } = await client.persist(async () => await client.refresh(world.port()))
        history.push({ t0: 0, t1: 0, client: client.name, op: 'returned', token: session, result })
      }
      client.close()
      return {
        n: rounds,
        ...figureOf(history, { decisions: (await world.takeDecisions()).splice(0), generations: new Map([[session, await generation()]]) }),
        faults: lost === rounds ? [] : [`${rounds - lost} answers were not lost`]
      }
    }
  }
}

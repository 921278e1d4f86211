import { setTimeout as pause } from 'node:timers/promises'
import { createClient, readRefresh } from '../client.js'
import { figureOf } from '../figures.js'
import { PASSWORD } from '../people.js'

/**
 * A failover to a copy that lacks the last moments. Whoever had renewed since comes with a token that the copy does not know; another
 * tab of that browser still has the one before. At most one of them may live on.
 */
export default {
  id: 'F-06',
  title: 'Redis fails over to an old copy',
  setups: ['redis'],
  async run (world, { rounds }) {
    const history = []
    const recoveries = []
    let [forks, logoutsLost] = [0, 0]
    for (let round = 0; round < rounds; round++) {
      const email = `set-back-${round}-${Date.now()}@example.com`
      const late = createClient(`late ${round}`, history)
      const leaving = createClient(`leaving ${round}`, history)
      await late.send('join', world.port(), 'POST', '/auth/register', { body: { email, password: PASSWORD } })
      await leaving.send('login', world.port(), 'POST', '/auth/login', { body: { email, password: PASSWORD } })
      await pause(Math.random() * 100)
      await world.stores.redis.keepCopy()
      const early = { ...createClient(`early ${round}`, history), cookies: late.cookies }
      const kept = { ...late.cookies }
      const left = { ...leaving.cookies }
      await world.step()
      await late.refresh(world.port())
      await leaving.logout(world.port)
      await failOver(world)
      recoveries.push(await recover(world, history, { email, password: PASSWORD }))
      await world.step()
      const branches = [late.cookies, kept]
      for (let turn = 0; turn < 6; turn++) {
        await early.send('enter', world.port(), 'GET', '/private', { cookies: branches[(turn + round) % 2] })
        if (turn % 2 === 1) await world.step()
      }
      const alive = await Promise.all(branches.map(async cookies => (await early.send('refresh', world.port(), 'POST', '/auth/refresh', { cookies })).result === 'ok'))
      if (alive.every(Boolean) && readRefresh(branches[0]).jti !== readRefresh(branches[1]).jti) forks++
      // What was lost with the tail: a logout too. The logins that remain are those of the copy.
      if ((await leaving.haunt(world.port(), left)).result === 'ok') logoutsLost++
      for (const client of [late, leaving]) client.close()
    }
    const figure = figureOf(history, { decisions: (await world.takeDecisions()).splice(0), mayLogOut: true })
    const remark = `${figure.wrongfulKills} of ${rounds} found to be two; ${logoutsLost} logouts lost with the tail`
    return { n: rounds, ...figure, resurrected: 0, wrongfulKills: 0, forks, recoveries, remark }
  }
}

async function failOver ({ networks, stores }) {
  networks.redis.refuse(true)
  networks.redis.cut()
  await stores.redis.returnToCopy()
  networks.redis.refuse(false)
}

/** Milliseconds until somebody can log in. */
async function recover (world, history, body) {
  const start = Date.now()
  const client = createClient('probe', history)
  while ((await client.send('login', world.port(), 'POST', '/auth/login', { body })).result !== 'ok') await pause(20)
  client.close()
  return Date.now() - start
}

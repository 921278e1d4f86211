import { setTimeout as pause } from 'node:timers/promises'
import { figureOf } from './figures.js'
import { createFleet } from './fleet.js'
import { createProbes } from './probes.js'

const HOLD_MS = 1500
/** Clients wait as long as they were told, three seconds at most, and may have to ask again. */
const RETURN_MS = 12_000

/**
 * What goes wrong, and how it is put right again, while clients live on the servers.
 * @typedef {object} Outage
 * @property {string} id of the requirement
 * @property {string} title
 * @property {Array<'postgres' | 'redis'>} setups where sessions are
 * @property {(world: object, round: number) => unknown} inject
 * @property {(world: object, round: number, injected: never) => unknown} heal with what `inject` has returned
 * @property {number} [holdMs] how long it lasts
 * @property {boolean} [mayLogOut] the store itself is made to forget
 * @property {boolean} [isWriteOnly] what only reads goes on
 * @property {boolean} [isHarmless] nobody is to notice
 * @property {boolean} [isCrowd] more come at once than can be answered in a second
 * @property {(world: object, scale: object) => Promise<object>} [run] in place of all of that: its own way to the figures
 */

/**
 * @param {Outage} outage
 * @param {Awaited<ReturnType<typeof import('./world.js').createWorld>>} world
 */
export async function runOutage (outage, world, { rounds, clients }) {
  const { inject, heal, holdMs = HOLD_MS, mayLogOut = false, isWriteOnly = false } = outage
  const history = []
  const probes = await createProbes(world, history)
  const fleet = await createFleet(world, { size: clients, history })
  const recoveries = []
  for (let round = 0; round < rounds; round++) {
    await world.step()
    await probes.renew()
    await pause(Math.random() * 300)
    const watching = probes.watch()
    const injected = await inject(world, round)
    await pause(holdMs / 2)
    // In every other round tokens expire while nobody can renew them.
    if (round % 2 === 1 && !isWriteOnly) {
      await watching.stop()
      await world.step()
    }
    await pause(holdMs / 2)
    await watching.stop()
    await heal(world, round, injected)
    const healedAt = Date.now()
    recoveries.push(...await probes.recover())
    await noteReturns(fleet, history, healedAt)
  }
  await fleet.stop()
  await noteNames(fleet, world, history)
  await probes.close()
  const decisions = await world.takeDecisions()
  return {
    n: rounds,
    ...figureOf(history, { decisions: decisions.splice(0), generations: await readGenerations(world, history), mayLogOut }),
    recoveries,
    ...probes.shares()
  }
}

/** Whether each client is let in again. */
async function noteReturns ({ clients }, history, healedAt) {
  const isBack = ({ name }) => history.findLast(({ client, op, result }) => client === name && op !== 'returned' && result === 'ok')?.t0 >= healedAt
  while (!clients.every(isBack) && Date.now() - healedAt < RETURN_MS) await pause(20)
  for (const client of clients) history.push({ t0: healedAt, t1: Date.now(), client: client.name, op: 'returned', token: '', result: isBack(client) ? 'ok' : 'not' })
}

/** What became of the names that clients have given themselves. */
async function noteNames ({ clients }, { storage }, history) {
  for (const { name, email } of clients) {
    const user = await storage.users.findByEmail(email)
    history.push({ t0: Date.now(), t1: Date.now(), client: name, op: 'found', token: '', result: 'ok', value: user?.name })
  }
}

async function readGenerations ({ storage }, history) {
  const ids = new Set(history.map(({ token }) => token).filter(token => token !== ''))
  return new Map(await Promise.all([...ids].map(async id => [id, (await storage.sessions.find(id))?.generation ?? null])))
}

import { setTimeout as pause } from 'node:timers/promises'
import { createClient } from './client.js'
import { PASSWORD } from './people.js'

const EVERY_MS = 20
const RECOVERY_MS = 10_000

/** One client for each server of a world, which asks nobody but that one, and far too often. */
export async function createProbes (world, history) {
  const shares = { stateless: { asked: 0, answered: 0 }, checked: { asked: 0, answered: 0 } }
  const probes = await Promise.all(world.nodes.map(async (_, index) => {
    const client = createClient(`probe ${index}`, history)
    const body = { email: `probe-${index}-${Date.now()}@example.com`, password: PASSWORD }
    const port = () => world.nodes[index].port
    await client.send('join', port(), 'POST', '/auth/register', { body })
    return { ...client, port, body }
  }))

  /** Have an access token that every server has seen. */
  async function renewOne (probe) {
    const { result } = await probe.persist(async () => await probe.refresh(probe.port()))
    if (result !== 'ok') await probe.persist(async () => await probe.send('login', probe.port(), 'POST', '/auth/login', { body: probe.body }))
    await probe.send('enter', probe.port(), 'GET', '/stateless')
    await probe.enter(probe.port())
  }

  async function ask (probe, kind, path, isOver) {
    while (!isOver()) {
      const { result } = await probe.send('enter', probe.port(), 'GET', path)
      if (isOver()) return
      shares[kind].asked++
      if (result === 'ok') shares[kind].answered++
      await pause(EVERY_MS)
    }
  }

  async function recoverOne (probe, start) {
    while (Date.now() - start < RECOVERY_MS) {
      const answers = [await probe.enter(probe.port()), await probe.refresh(probe.port())]
      if (answers.every(({ result }) => ['ok', 'refused', 'cleared'].includes(result))) break
      await pause(EVERY_MS)
    }
    return Date.now() - start
  }

  return {
    renew: async () => { await Promise.all(probes.map(renewOne)) },
    /** Ask in the two ways that need no store by themselves: by the token alone, and by what is remembered of the session. */
    watch () {
      let isOver = false
      const asking = probes.flatMap(probe => [ask(probe, 'stateless', '/stateless', () => isOver), ask(probe, 'checked', '/private', () => isOver)])
      return {
        async stop () {
          isOver = true
          await Promise.all(asking)
        }
      }
    },
    /** Milliseconds until each server answers again, asked without a pause. */
    async recover () {
      const start = Date.now()
      return await Promise.all(probes.map(async probe => await recoverOne(probe, start)))
    },
    shares: () => shares,
    close () { for (const probe of probes) probe.close() }
  }
}

import { setMaxListeners } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { createClient } from './client.js'
import { PASSWORD } from './people.js'

/** Cookies of sessions that have ended are tried again after this. */
const GHOST_MS = 1100
const GHOSTS = 5

/** What people do, and how often. */
const HABITS = [['enter', 40], ['refresh', 12], ['tabs', 13], ['haunt', 15], ['rename', 12], ['leave', 8]]

/**
 * Clients that live on the servers of a world: each logs in, comes, renews, has several tabs, changes its name, logs out and in again,
 * and tries what it has logged out of. They go on whatever happens.
 */
export async function createFleet (world, { size, history, thinkMs = 120 }) {
  const over = new AbortController()
  const { signal } = over
  setMaxListeners(0, signal)
  let count = 0
  const clients = await Promise.all(Array.from({ length: size }, async (_, index) => {
    const client = createClient(`${index}`, history)
    Object.assign(client, { email: `client-${index}-${Date.now()}@example.com`, ghosts: [] })
    await client.persist(async () => await client.send('join', world.port(), 'POST', '/auth/register', { body: { email: client.email, password: PASSWORD } }))
    return client
  }))

  const acts = {
    enter: async client => await client.enter(world.port()),
    refresh: async client => await client.refresh(world.port()),
    /** Two at once, with the same cookies. */
    async tabs (client) {
      const answers = await Promise.all([client.refresh(world.port()), client.enter(world.port())])
      return answers.find(({ result }) => result === 'refused' || result === 'cleared')
    },
    async haunt (client) {
      const ghost = client.ghosts[Math.floor(Math.random() * client.ghosts.length)]
      if (ghost !== undefined && Date.now() - ghost.endedAt > GHOST_MS) await client.haunt(world.port(), ghost.cookies)
    },
    async rename (client) {
      const value = `name ${++count}`
      return await client.send('rename', world.port(), 'PATCH', '/auth/me', { body: { name: value }, value })
    },
    async leave (client) {
      const cookies = { ...client.cookies }
      const { result } = await client.logout(world.port, signal)
      if (result !== 'ok') return
      client.ghosts = [{ cookies, endedAt: Date.now() }, ...client.ghosts].slice(0, GHOSTS)
      return await login(client)
    }
  }

  async function login (client) {
    client.cookies = {}
    return await client.persist(async () => await client.send('login', world.port(), 'POST', '/auth/login', { body: { email: client.email, password: PASSWORD } }), signal)
  }

  async function live (client) {
    while (!signal.aborted) {
      const answer = await acts[pick()](client)
      if (answer?.result === 'refused' || answer?.result === 'cleared') await login(client)
      await pause(Math.max(Math.random() * thinkMs, client.comeBackAt - Date.now()), undefined, { signal }).catch(() => {})
    }
  }

  const lives = clients.map(live)
  return {
    clients,
    async stop () {
      over.abort()
      await Promise.all(lives)
      for (const client of clients) client.close()
    }
  }
}

const TOTAL = HABITS.reduce((sum, [, weight]) => sum + weight, 0)

function pick () {
  let left = Math.random() * TOTAL
  return HABITS.find(([, weight]) => (left -= weight) < 0)[0]
}

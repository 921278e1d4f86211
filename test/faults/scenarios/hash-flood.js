import { setTimeout as pause } from 'node:timers/promises'
import { createClient } from '../client.js'
import { at, figureOf } from '../figures.js'
import { PASSWORD } from '../people.js'

const LOGINS_PER_SECOND = 500
const FLOOD_MS = 2000
const QUIET_MS = 500

/** On a machine that does nothing else: for how long the event loop may be busy with something. */
const LAG_MS = 50

/** A queue is bounded, but not short. */
const QUEUE_MS = 30_000

/** Far more people log in than there are cores to hash for. */
export default {
  id: 'F-28',
  title: '500 logins a second',
  setups: ['postgres'],
  async run (world, { rounds, patience }) {
    const [history, guesses] = [[], []]
    const [node] = world.nodes
    const reader = createClient('reader', history)
    await reader.send('join', node.port, 'POST', '/auth/register', { body: { email: `reader-${Date.now()}@example.com`, password: PASSWORD } })
    const [quiet, busy, lags] = [[], [], []]
    for (let round = 0; round < rounds; round++) {
      await read(reader, node, QUIET_MS, quiet)
      await node.ask('lag')
      const flood = createFlood(node, guesses)
      await read(reader, node, FLOOD_MS, busy)
      lags.push((await node.ask('lag')).p99)
      await flood.end()
    }
    reader.close()
    const busyAnswers = guesses.filter(({ result }) => result === 'unavailable').length
    const unanswered = guesses.filter(({ result }) => result === 'silent').length
    const faults = at(lags, 0.5) > LAG_MS + patience / 10 ? [`the event loop was late by ${at(lags, 0.5)} ms`] : []
    if (unanswered > 0) faults.push(`${unanswered} logins were not answered`)
    const remark = `a session is checked in ${at(quiet, 0.99)} ms before and ${at(busy, 0.99)} ms meanwhile (p99), the event loop late by ${at(lags, 0.5)} ms; of ${guesses.length} logins ${busyAnswers} were told 503`
    return { n: rounds, ...figureOf(history), faults, remark }
  }
}

async function read (reader, node, milliseconds, times) {
  for (const end = Date.now() + milliseconds; Date.now() < end;) {
    const start = performance.now()
    await reader.enter(node.port)
    times.push(performance.now() - start)
    await pause(5)
  }
}

function createFlood (node, history) {
  const strangers = createClient('strangers', history, QUEUE_MS)
  const logins = []
  const timer = setInterval(() => {
    for (let index = 0; index < LOGINS_PER_SECOND / 50; index++) {
      logins.push(strangers.send('guess', node.port, 'POST', '/auth/login', { cookies: {}, body: { email: 'nobody@example.com', password: PASSWORD } }))
    }
  }, 20)
  return {
    async end () {
      clearInterval(timer)
      await Promise.all(logins)
      strangers.close()
    }
  }
}

import { Agent, request } from 'node:http'
import { median, quantile, start } from './contender.js'

const PASSWORD = 'violet harbor 92 lantern'
const CLIENTS = 64
const PROBE_EVERY_MS = 5

/** 64 clients log in as fast as they can; what happens to an open route, and how close to the raw hash rate do they come? */
export async function benchLoginStorm ({ rounds, seconds, folder }) {
  const raw = await start('hashes.js')
  const server = await start('server.js', { CONTENDER: 'checked', DATABASE_FILE: `${folder}/storm.db` })
  const { port } = server.hello
  for (let index = 0; index < 8; index++) await send(port, 'POST', '/auth/register', { email: `u${index}@example.com`, password: PASSWORD })
  const samples = []
  for (let round = 0; round < rounds; round++) {
    const { perSecond: rawRate } = await raw.ask(seconds * 1000)
    const quiet = await probe(port, seconds * 1000)
    let isOver = false
    let logins = 0
    let refused = 0
    const storm = Promise.all(Array.from({ length: CLIENTS }, async (_, index) => {
      const agent = new Agent({ keepAlive: true })
      for (let isLast = false; !isLast; isLast = isOver) {
        const status = await send(port, 'POST', '/auth/login', { email: `u${index % 8}@example.com`, password: PASSWORD }, agent)
        if (status === 200) logins++
        else refused++
      }
      agent.destroy()
    }))
    await new Promise(resolve => setTimeout(resolve, 1000))
    logins = 0
    const began = performance.now()
    const during = await probe(port, seconds * 1000)
    const rate = logins / (performance.now() - began) * 1000
    isOver = true
    await storm
    samples.push({ rawRate, rate, refused, quiet: quantile(quiet, 0.99), during: quantile(during, 0.99) })
  }
  raw.stop()
  server.stop()
  const of = key => median(samples.map(sample => sample[key]))
  return [{
    'logins/s': of('rate').toFixed(1),
    'raw hashes/s': of('rawRate').toFixed(1),
    'share of raw': median(samples.map(({ rate, rawRate }) => rate / rawRate)).toFixed(2),
    'open route p99 quiet, ms': of('quiet').toFixed(1),
    'in the storm, ms': of('during').toFixed(1),
    'added, ms': median(samples.map(({ quiet, during }) => during - quiet)).toFixed(1),
    refused: of('refused')
  }]
}

/** Latency of an open route, a request falling due every few milliseconds whatever the answers do. */
async function probe (port, milliseconds) {
  const agent = new Agent({ keepAlive: true, maxSockets: 64 })
  const latencies = []
  const answers = []
  const end = performance.now() + milliseconds
  for (let due = performance.now(); due < end; due += PROBE_EVERY_MS) {
    const wait = due - performance.now()
    if (wait > 0) await new Promise(resolve => setTimeout(resolve, wait))
    const dueAt = Math.min(due, performance.now())
    answers.push(send(port, 'GET', '/open', undefined, agent).then(() => latencies.push(performance.now() - dueAt)))
  }
  await Promise.all(answers)
  agent.destroy()
  return latencies
}

function send (port, method, path, body, agent) {
  return new Promise((resolve, reject) => {
    const outgoing = request({ port, host: '127.0.0.1', method, path, agent, headers: body === undefined ? {} : { 'content-type': 'application/json' } }, response => {
      response.resume().on('end', () => resolve(response.statusCode))
    })
    outgoing.on('error', reject).end(body === undefined ? undefined : JSON.stringify(body))
  })
}

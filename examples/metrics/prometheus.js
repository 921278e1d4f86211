import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { Counter, Gauge, Registry } from 'prom-client'

export async function prometheus (app) {
  const counters = new Registry()
  // Names and reasons are a few dozen in all. An id or an address would be a new series for each user.
  const events = new Counter({ name: 'accounts_events_total', help: 'Decisions', labelNames: ['name', 'reason'], registers: [counters] })
  const count = ({ name, reason = '' }) => events.inc({ name, reason })
  subscribe('fastify-accounts', count)
  app.addHook('onClose', async () => { unsubscribe('fastify-accounts', count) })

  // For your own network: let the proxy keep the path to itself.
  app.get('/metrics', { config: { accounts: false } }, async (_request, reply) => {
    // Of this moment alone: what is null now has no value.
    const gauges = new Registry()
    for (const [name, value] of numbersIn('accounts', await app.accounts.health())) new Gauge({ name, help: 'What health() says', registers: [gauges] }).set(value)
    const all = Registry.merge([counters, gauges])
    reply.type(all.contentType)
    return await all.metrics()
  })
}

/** `stores.users.ok` is `accounts_stores_users_ok`, 1 or 0. */
function numbersIn (path, value) {
  if (typeof value === 'number' || typeof value === 'boolean') return [[path, Number(value)]]
  return Object.entries(value ?? {}).flatMap(([name, member]) => numbersIn(`${path}_${name.replace(/[A-Z]/g, letter => `_${letter.toLowerCase()}`)}`, member))
}

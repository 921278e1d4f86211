import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { metrics, trace } from '@opentelemetry/api'

/** By the API alone: without an SDK that collects it, nothing of this costs anything. */
export async function openTelemetry (app) {
  const meter = metrics.getMeter('fastify-accounts')

  // What is decided during a request is published during it, so its span is the active one.
  const events = meter.createCounter('accounts.events', { description: 'Decisions' })
  const note = ({ name, reason }) => {
    const attributes = { 'accounts.event': name, ...(reason !== undefined && { 'accounts.reason': reason }) }
    events.add(1, attributes)
    trace.getActiveSpan()?.addEvent(name, attributes)
  }
  subscribe('fastify-accounts', note)

  const storeUp = meter.createObservableGauge('accounts.store.up', { description: 'Whether a store has answered' })
  const waiting = meter.createObservableGauge('accounts.passwords.waiting', { description: 'Passwords that wait to be hashed' })
  const observed = [storeUp, waiting]
  const observe = async result => {
    const { stores, passwords } = await app.accounts.health()
    for (const [name, { ok }] of Object.entries(stores)) result.observe(storeUp, Number(ok), { 'accounts.store': name })
    result.observe(waiting, passwords.waiting)
  }
  meter.addBatchObservableCallback(observe, observed)

  app.addHook('onClose', async () => {
    unsubscribe('fastify-accounts', note)
    meter.removeBatchObservableCallback(observe, observed)
  })
}

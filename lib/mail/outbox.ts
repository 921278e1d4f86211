import { LRUCache } from 'lru-cache'
import type { Outbox, OutboxRecord } from '../../types/storage.ts'
import { monotonic, now, pause } from '../clock.ts'
import type { Hooks } from '../hooks.ts'
import { randomFraction } from '../random.ts'
import type { Deliver, Delivery } from './delivery.ts'

/** Sends what waits in the outbox, beside the other nodes. */
export interface OutboxWorker {
  kick (): void
  /** How many are being sent, and whether the mailer did not take the last one, for now. */
  load (): { readonly sending: number, readonly failing: boolean }
  /** Stop claiming, and wait for what is being sent, for so many milliseconds: nothing of it runs on. */
  close (patience: number): Promise<void>
}

export interface OutboxOptions {
  readonly outbox: Outbox
  readonly deliver: Deliver
  readonly onFailure: (reason: string, mail: OutboxRecord) => void
  readonly hooks: Hooks
}

/** Mails that one node sends at once: a slow server holds up no more than these. */
const AT_ONCE = 5
/** Between looks at the outbox; mail of this node's own is sent at once. */
const POLL_MS = 5000
/** A mailer that does not answer in this time has failed. */
const SEND_MS = 30_000
/** How long a claim lasts: what a node that died was sending goes to another after this. Longer than a mail can take. */
const CLAIM_MS = 60_000
/** Waits between tries double up to the first, for an hour; then up to the second. */
const RETRY_MS = { first: 2500, most: 45_000, later: 300_000 }
const HOUR_MS = 3_600_000
/** After this nobody waits for the mail any more. */
const GIVE_UP_MS = 24 * HOUR_MS
/** Mails that one node can know to be done with though the store does not: a few for each outage of the storage. */
const REMEMBERED = 1000
/** Between tries to tell the store what became of a mail. */
const SETTLE_AGAIN_MS = 1000

export function startOutbox ({ outbox, deliver, onFailure, hooks }: OutboxOptions): OutboxWorker {
  const inFlight = new Set<Promise<void>>()
  /** The claims on what is being sent here, by the number of the attempt. */
  const claims = new Map<string, number>()
  /** The last of a kind to one user: the next waits for it, so that the last to arrive has the link that works. */
  const lanes = new Map<string, Promise<void>>()
  /** Done with, but the store did not take note: whoever claims it again here must not send it again. */
  const unsettled = new LRUCache<string, true>({ max: REMEMBERED })
  /** Nothing more is begun; then: nobody waits any more for what is being done. */
  const closing = new AbortController()
  const closed = new AbortController()
  let working = Promise.resolve()
  let isKicked = false
  let isSweeping = false
  let isFailing = false
  let timer = schedule()

  function schedule (): NodeJS.Timeout {
    return setTimeout(sweep, POLL_MS * (0.75 + randomFraction() / 2)).unref()
  }

  function sweep (): void {
    isKicked = true
    if (isSweeping) return
    isSweeping = true
    clearTimeout(timer)
    // The boundary has reported a failure, and the next turn does the same work.
    working = work().catch(() => {}).finally(() => {
      isSweeping = false
      if (!closing.signal.aborted) timer = schedule()
    })
  }

  async function work (): Promise<void> {
    while (isKicked && !closing.signal.aborted) {
      isKicked = false
      for (let free = AT_ONCE - inFlight.size; !closing.signal.aborted; free = AT_ONCE - inFlight.size) {
        if (free === 0) {
          await Promise.race(inFlight)
          continue
        }
        const claimed = await outbox.claim(new Date(now()), new Date(now() + CLAIM_MS), free)
        for (const mail of claimed) send(mail)
        if (claimed.length < free) break
      }
    }
  }

  function send (mail: OutboxRecord): void {
    const isUnderWay = claims.has(mail.id)
    claims.set(mail.id, mail.attempts)
    // The clock was set forward, so the claim seemed to have run out.
    if (isUnderWay) return
    const lane = `${mail.kind} ${mail.userId ?? mail.id}`
    const sending = attempt(mail, lanes.get(lane)).finally(() => {
      inFlight.delete(sending)
      claims.delete(mail.id)
      if (lanes.get(lane) === sending) lanes.delete(lane)
    })
    inFlight.add(sending)
    lanes.set(lane, sending)
  }

  async function attempt (mail: OutboxRecord, before: Promise<void> | undefined): Promise<void> {
    const claimedAt = monotonic()
    await before
    // Not enough is left of its claim: whoever claims it next sends it.
    if (monotonic() - claimedAt > CLAIM_MS - SEND_MS) return
    // It was claimed while the server was closing: another may have it at once.
    if (closing.signal.aborted) {
      await settle(mail, new Date(now()), claimedAt)
      return
    }
    const delivery = unsettled.has(mail.id) ? NOTED_LATE : await deliverInTime(mail)
    const detail = { ...(mail.userId === null ? {} : { userId: mail.userId }), reason: mail.kind, request: null }
    if (delivery.outcome === 'sent') isFailing = false
    if (delivery.outcome === 'sent' || delivery.outcome === 'over') {
      if (delivery.outcome === 'sent') hooks.record('mail.sent', detail)
      unsettled.set(mail.id, true)
      if (await settle(mail, null, claimedAt)) unsettled.delete(mail.id)
      return
    }
    // Whoever claims it next sends it.
    if (closed.signal.aborted) return
    const isHopeless = (delivery.outcome === 'failed' && delivery.permanent) || now() - mail.createdAt.getTime() > GIVE_UP_MS
    if (delivery.outcome === 'failed') {
      isFailing = !delivery.permanent
      onFailure(delivery.reason, mail)
    }
    if (isHopeless || delivery.outcome === 'failed') hooks.record(isHopeless ? 'mail.given-up' : 'mail.failed', detail)
    if (isHopeless) hooks.notify('mailFailed', { kind: mail.kind, userId: mail.userId, attempts: mail.attempts })
    await settle(mail, isHopeless ? null : new Date(now() + retryAfter(mail)), claimedAt)
  }

  async function deliverInTime (mail: OutboxRecord): Promise<Delivery> {
    const end = new AbortController()
    const signal = AbortSignal.any([end.signal, closed.signal])
    const delivery = await Promise.race([deliver(mail), pause(SEND_MS, signal)])
    end.abort()
    return delivery ?? { outcome: 'failed', reason: `the mailer did not answer within ${SEND_MS} ms`, permanent: false }
  }

  /**
   * Asked again for as long as the claim lasts: what the store doesn't learn is sent twice. `false` is also its answer
   * if the mail was claimed again in this moment, elsewhere or by a call of ours that is still under way.
   */
  async function settle ({ id }: OutboxRecord, dueAt: Date | null, claimedAt: number): Promise<boolean> {
    do {
      try {
        const claim = claims.get(id)!
        const isSettled = await outbox.settle(id, claim, dueAt)
        // If it was claimed again here meanwhile, that claim is ours to settle.
        if (isSettled || claims.get(id) === claim) return isSettled
      } catch {
        await pause(SETTLE_AGAIN_MS, closed.signal)
      }
    } while (!closed.signal.aborted && monotonic() - claimedAt <= CLAIM_MS)
    return false
  }

  return {
    kick: sweep,
    load: () => ({ sending: inFlight.size, failing: isFailing }),
    async close (patience) {
      closing.abort()
      clearTimeout(timer)
      await Promise.race([working.then(async () => await Promise.all(inFlight)), pause(patience, closed.signal)])
      closed.abort()
    }
  }
}

/** Sent before, by the word of this process: only the store has to learn of it. */
const NOTED_LATE: Delivery = { outcome: 'over' }

function retryAfter ({ attempts, createdAt }: OutboxRecord): number {
  const most = now() - createdAt.getTime() < HOUR_MS ? RETRY_MS.most : RETRY_MS.later
  return Math.min(RETRY_MS.first * 2 ** Math.min(attempts, 10), most) * (0.5 + randomFraction() / 2)
}

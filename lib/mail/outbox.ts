import type { Outbox, OutboxRecord } from '../../types/storage.ts'
import { monotonic, now, pause } from '../clock.ts'
import { FST_ACCOUNTS_STORAGE_UNAVAILABLE } from '../errors.ts'
import type { Hooks } from '../hooks.ts'
import { randomFraction } from '../random.ts'

/** Sends what waits in the outbox, beside the other nodes. */
export interface OutboxWorker {
  kick (): void
  /** Stop claiming, and wait for what is being sent. */
  close (): Promise<void>
}

export interface OutboxOptions {
  readonly outbox: Outbox
  /** Send one; `false`: there is nothing to send any more. A rejection: try again later, or never if it has `permanent: true`. */
  readonly deliver: (mail: OutboxRecord) => Promise<boolean>
  readonly onFailure: (error: unknown, mail: OutboxRecord) => void
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
/** What is being sent when the server stops has this long. */
const CLOSE_MS = 8000

export function startOutbox ({ outbox, deliver, onFailure, hooks }: OutboxOptions): OutboxWorker {
  const inFlight = new Set<Promise<void>>()
  /** The claims on what is being sent here, by the number of the attempt. */
  const claims = new Map<string, number>()
  /** Sent, but the store did not take note yet: whoever claims it again here must not send it again. */
  const unsettled = new Set<string>()
  const closing = new AbortController()
  let isKicked = false
  let isSweeping = false
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
    void work().catch(() => {}).finally(() => {
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
    const sending = attempt(mail).finally(() => {
      inFlight.delete(sending)
      claims.delete(mail.id)
    })
    inFlight.add(sending)
  }

  async function attempt (mail: OutboxRecord): Promise<void> {
    const claimedAt = monotonic()
    const detail = { ...(mail.userId === null ? {} : { userId: mail.userId }), reason: mail.kind, request: null }
    try {
      if (!unsettled.has(mail.id) && await withDeadline(deliver(mail))) hooks.record('mail.sent', detail)
    } catch (error) {
      // Our own storage, not the mail: it comes back when its claim ends.
      if (error instanceof FST_ACCOUNTS_STORAGE_UNAVAILABLE) return
      const isHopeless = isPermanent(error) || now() - mail.createdAt.getTime() > GIVE_UP_MS
      onFailure(error, mail)
      hooks.record(isHopeless ? 'mail.given-up' : 'mail.failed', detail)
      if (isHopeless) hooks.notify('mailFailed', { kind: mail.kind, userId: mail.userId, attempts: mail.attempts })
      await settle(mail, isHopeless ? null : new Date(now() + retryAfter(mail)), claimedAt)
      return
    }
    unsettled.add(mail.id)
    if (await settle(mail, null, claimedAt)) unsettled.delete(mail.id)
  }

  /** Asked again for as long as the claim lasts: what the store doesn't learn is sent twice. */
  async function settle ({ id }: OutboxRecord, dueAt: Date | null, claimedAt: number): Promise<boolean> {
    for (;;) {
      try {
        await outbox.settle(id, claims.get(id)!, dueAt)
        return true
      } catch {
        if (closing.signal.aborted || monotonic() - claimedAt > CLAIM_MS) return false
        await pause(1000)
      }
    }
  }

  return {
    kick: sweep,
    async close () {
      closing.abort()
      clearTimeout(timer)
      await Promise.race([Promise.allSettled(inFlight), pause(CLOSE_MS)])
    }
  }
}

function retryAfter ({ attempts, createdAt }: OutboxRecord): number {
  const most = now() - createdAt.getTime() < HOUR_MS ? RETRY_MS.most : RETRY_MS.later
  return Math.min(RETRY_MS.first * 2 ** Math.min(attempts, 10), most) * (0.5 + randomFraction() / 2)
}

const isPermanent = (error: unknown) => (error as { permanent?: unknown } | null)?.permanent === true

async function withDeadline (sending: Promise<boolean>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new TypeError(`the mailer did not answer within ${SEND_MS} ms`)), SEND_MS)
  })
  try {
    return await Promise.race([sending, late])
  } finally {
    clearTimeout(timer)
  }
}

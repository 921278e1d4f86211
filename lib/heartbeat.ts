import { setTimeout as pause } from 'node:timers/promises'
import { monotonic } from './clock.ts'
import { randomFraction } from './random.ts'

/** A connection on which changes are heard. */
export interface Line {
  /** Connect, listen, and see that what is told does arrive; settles in time. */
  begin (): Promise<void>
  /** Resolves when everything that was acknowledged anywhere before the call has been delivered; rejects if that can't be shown in time. */
  prove (): Promise<void>
  /** Waits for nobody: where nobody answers, a farewell isn't answered either. */
  hangUp (): void
}

/** What keeps a line open, and knows for how long it vouches for what it has delivered. */
export interface Heartbeat {
  /** Resolves when the first attempt to listen has succeeded or failed. */
  readonly started: Promise<void>
  isCurrent (): boolean
  /** Milliseconds since the line was last proven alive; `null`: it is not. */
  age (): number | null
  close (): Promise<void>
}

/** How long an answered heartbeat vouches for the line. With the way of the last request, the bound stays under a second. */
const CURRENT_MS = 800
const HEARTBEAT_MS = 200

/** Without anybody who asks whether it is current, the line is not spoken to. */
const IDLE_MS = 5000

const FIRST_PAUSE_MS = 50
const LONGEST_PAUSE_MS = 1000

/**
 * Keep a line open, one after the other.
 * @param open make a line; it calls `onLoss` when it breaks
 * @param onGap called when a line has begun: whatever happened until now, nobody may have told us
 */
export function createHeartbeat (open: (onLoss: () => void) => Line, onGap: () => void): Heartbeat {
  const closing = new AbortController()
  const { signal } = closing
  let provenAt = -Infinity
  let askedAt = monotonic()
  let wake = () => {}
  let markStarted = () => {}
  const started = new Promise<void>(resolve => { markStarted = resolve })

  async function run (): Promise<void> {
    for (let longest = FIRST_PAUSE_MS; !signal.aborted; longest = Math.min(2 * longest, LONGEST_PAUSE_MS)) {
      await keep(() => { longest = FIRST_PAUSE_MS }).catch(() => {})
      provenAt = -Infinity
      markStarted()
      await sleep(randomFraction() * longest)
    }
  }

  /** Returns never but by a rejection, or when the feed is closed. */
  async function keep (onBegun: () => void): Promise<void> {
    const lost = new AbortController()
    const lose = () => {
      provenAt = -Infinity
      lost.abort()
    }
    signal.addEventListener('abort', lose)
    const line = open(lose)
    try {
      await line.begin()
      onGap()
      onBegun()
      while (!signal.aborted) {
        const sentAt = monotonic()
        await unlessLost(line.prove(), lost.signal)
        provenAt = sentAt
        markStarted()
        await sleep(HEARTBEAT_MS)
        if (!signal.aborted && monotonic() - askedAt > IDLE_MS) await new Promise<void>(resolve => { wake = resolve })
      }
    } finally {
      provenAt = -Infinity
      signal.removeEventListener('abort', lose)
      line.hangUp()
    }
  }

  const sleep = async (milliseconds: number) => await pause(milliseconds, undefined, { signal, ref: false }).catch(() => {})
  signal.addEventListener('abort', () => wake())
  const running = run()

  return {
    started,
    isCurrent () {
      askedAt = monotonic()
      wake()
      return askedAt - provenAt < CURRENT_MS
    },
    age: () => provenAt === -Infinity ? null : monotonic() - provenAt,
    async close () {
      closing.abort()
      await running
    }
  }
}

/** A race with a promise that lasts as long as the line would leave something behind each time. */
async function unlessLost (work: Promise<void>, lost: AbortSignal): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const fail = () => reject(new TypeError('the line is lost'))
    if (lost.aborted) fail()
    lost.addEventListener('abort', fail)
    work.then(resolve, reject).finally(() => lost.removeEventListener('abort', fail))
  })
}

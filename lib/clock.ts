// The only place that reads the time, so that tests can move it.

/** The time of day in milliseconds since 1970, UTC. */
export const now = (): number => Date.now()

/** Milliseconds on a clock that never jumps, for ages and deadlines within this process. */
export const monotonic = (): number => performance.now()

/** A promise that resolves after `ms` milliseconds, or when `signal` is aborted; nothing of it is left then. */
export const pause = (ms: number, signal?: AbortSignal): Promise<void> => new Promise(resolve => {
  if (signal?.aborted === true) return resolve()
  const end = () => {
    clearTimeout(timer)
    signal?.removeEventListener('abort', end)
    resolve()
  }
  const timer = setTimeout(end, ms)
  signal?.addEventListener('abort', end)
})

/** What `call` resolves with. Nobody waits for ever: it is a TypeError after `ms` milliseconds. */
export async function beforeDeadline<T> (call: () => Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new TypeError(`no answer within ${ms} ms`)), ms)
  })
  try {
    return await Promise.race([call(), late])
  } finally {
    clearTimeout(timer)
  }
}

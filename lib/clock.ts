// The only place that reads the time, so that tests can move it.

/** The time of day in milliseconds since 1970, UTC. */
export const now = (): number => Date.now()

/** Milliseconds on a clock that never jumps, for ages and deadlines within this process. */
export const monotonic = (): number => performance.now()

/** A promise that resolves after `ms` milliseconds. */
export const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

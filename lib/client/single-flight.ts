/** Nobody waits for a silent server for ever; what it may have done meanwhile it makes good when it is asked again. */
const LONGEST_FLIGHT_MS = 20_000

/** However many ask at once, the work is done once, and all get what came of it. */
export function createSingleFlight<T> (work: (signal: AbortSignal) => Promise<T>): () => Promise<T> {
  let flight: Promise<T> | null = null
  return () => {
    flight ??= work(AbortSignal.timeout(LONGEST_FLIGHT_MS)).finally(() => { flight = null })
    return flight
  }
}

interface Locks {
  request<T> (name: string, options: { readonly signal: AbortSignal }, work: () => Promise<T>): Promise<T>
}

/** A tab that has gone to sleep must not keep the others from what they do. */
const LONGEST_WAIT_MS = 5_000

/**
 * Do something while no other tab does the same, where the browser can tell (Web Locks). Where it can't, or a tab takes too
 * long, it is done all the same: the server copes with tabs that ask at once, this only saves it the trouble.
 */
export async function inTurn<T> (name: string, work: () => Promise<T>): Promise<T> {
  const { navigator } = globalThis as { navigator?: { readonly locks?: Locks } }
  if (navigator?.locks === undefined) return await work()
  let isOurTurn = false
  try {
    return await navigator.locks.request(name, { signal: AbortSignal.timeout(LONGEST_WAIT_MS) }, async () => {
      isOurTurn = true
      return await work()
    })
  } catch (error) {
    if (isOurTurn) throw error
    return await work()
  }
}

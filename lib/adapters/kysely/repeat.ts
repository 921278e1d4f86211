import { monotonic, pause } from '../../clock.ts'
import { randomFraction } from '../../random.ts'

/** How long what met a conflict is tried again before the call fails; the boundary waits for a second. */
const REPEAT_MS = 900

export interface Repeat {
  readonly isConflict: (error: unknown) => boolean
  /** Besides the first. @default as many as there is time for */
  readonly attempts?: number
}

/** Run again, with pauses of random length, what a conflict with others has kept from doing anything. */
export async function repeat<T> ({ isConflict, attempts = Infinity }: Repeat, call: () => Promise<T>): Promise<T> {
  const end = monotonic() + REPEAT_MS
  for (let attempt = 0, longest = 2; ; attempt++, longest = Math.min(2 * longest, 50)) {
    try {
      return await call()
    } catch (error) {
      if (!isConflict(error) || attempt >= attempts || monotonic() > end) throw error
      await pause(randomFraction() * longest)
    }
  }
}

/** Every verb is one statement or one transaction, and one that met a conflict did nothing: it is safe to try again. */
export function repeating<Store extends object> (options: Repeat, store: Store): Store {
  return Object.fromEntries(Object.entries(store).map(([verb, call]) => [verb, async (...args: unknown[]) => await repeat(options, async () => await call(...args))])) as Store
}

export const isSqliteConflict = (error: unknown) => /^SQLITE_(BUSY|LOCKED)/.test(codeOf(error))

/** Serialization failure and deadlock: the server has undone all of it. */
export const isPostgresConflict = (error: unknown) => /^(40001|40P01)$/.test(codeOf(error))

export const isSqliteDuplicate = (error: unknown) => codeOf(error) === 'SQLITE_CONSTRAINT_UNIQUE'

export const isPostgresDuplicate = (error: unknown) => codeOf(error) === '23505'

function codeOf (error: unknown): string {
  const { code } = (error ?? {}) as { code?: unknown }
  return typeof code === 'string' ? code : ''
}

import { FST_ACCOUNTS_ENVIRONMENT_INVALID, FST_ACCOUNTS_OPTION_INVALID } from '../errors.ts'
import { checkSecret } from '../tokens/secrets.ts'

/** Variables by their names, as `process.env` has them. */
export type Environment = Readonly<Record<string, string | undefined>>

/**
 * Reads variables strictly, and keeps what is wrong with each, to tell all of it at once: by name, never with a value,
 * which may be a secret. What was refused is read as `undefined`.
 */
export interface Reader {
  /**
   * One that is empty is not set: docker-compose makes that of what it was not given.
   * @param check refuses what the option that it becomes would refuse
   */
  text (name: string, check?: (text: string) => void): string | undefined
  /** An empty one is refused: it is more likely lost than left out, and another key would be used in its place. */
  secret (name: string): string | undefined
  /** `true` or `false`, and nothing that others take for it. */
  boolean (name: string): boolean | undefined
  integer (name: string, min: number, max: number): number | undefined
  refuse (name: string, why: string): undefined
  /** @throws {FST_ACCOUNTS_ENVIRONMENT_INVALID} if anything was refused */
  finish (): void
}

export function createReader (env: Environment): Reader {
  const problems = new Map<string, string>()

  const refuse: Reader['refuse'] = (name, why) => {
    // What is wrong first is the cause of the rest.
    if (!problems.has(name)) problems.set(name, why)
  }

  const get = (name: string): string | undefined => {
    const value = env[name] as unknown
    return value === undefined || typeof value === 'string' ? value : refuse(name, `must be a text, not ${typeof value}`)
  }

  const text: Reader['text'] = (name, check = () => {}) => {
    const value = get(name)
    return value === undefined || value === '' ? undefined : accept(name, value, check)
  }

  const accept = (name: string, value: string, check: (text: string) => void): string | undefined => {
    try {
      check(value)
      return value
    } catch (error) {
      if (error instanceof FST_ACCOUNTS_OPTION_INVALID) return refuse(name, error.why)
      throw error
    }
  }

  return {
    text,
    secret (name) {
      const value = get(name)
      if (value === '') return refuse(name, 'is set, but empty: give a secret, or leave it out')
      return value === undefined ? undefined : accept(name, value, secret => { checkSecret(secret, name) })
    },
    boolean (name) {
      const value = text(name)
      if (value === undefined) return undefined
      return value === 'true' || value === 'false' ? value === 'true' : refuse(name, 'must be true or false')
    },
    integer (name, min, max) {
      const value = text(name)
      if (value === undefined) return undefined
      const isWithin = /^(0|[1-9]\d{0,14})$/.test(value) && Number(value) >= min && Number(value) <= max
      return isWithin ? Number(value) : refuse(name, `must be a whole number from ${min} to ${max}`)
    },
    refuse,
    finish () {
      if (problems.size > 0) throw new FST_ACCOUNTS_ENVIRONMENT_INVALID([...problems].map(([name, why]) => `\n  ${name} ${why}`).join(''))
    }
  }
}

import type { Terminal } from './terminal.ts'

/** Options of the whole program; each means the same wherever it is taken. */
export const OPTIONS = {
  database: { type: 'string' },
  schema: { type: 'string' },
  'table-prefix': { type: 'string' },
  redis: { type: 'string' },
  'redis-prefix': { type: 'string' },
  email: { type: 'string' },
  username: { type: 'string' },
  name: { type: 'string' },
  role: { type: 'string', multiple: true },
  none: { type: 'boolean' },
  'password-stdin': { type: 'boolean' },
  'no-password': { type: 'boolean' },
  search: { type: 'string' },
  app: { type: 'string' },
  context: { type: 'string' },
  expires: { type: 'string' },
  method: { type: 'string', multiple: true },
  ip: { type: 'string', multiple: true },
  referrer: { type: 'string', multiple: true },
  scope: { type: 'string', multiple: true },
  algorithm: { type: 'string' },
  url: { type: 'string' },
  strict: { type: 'boolean' },
  json: { type: 'boolean' }
} as const

export type OptionName = keyof typeof OPTIONS

type Value<Name extends OptionName> = (typeof OPTIONS)[Name] extends { readonly multiple: true } ? string[] : (typeof OPTIONS)[Name] extends { readonly type: 'boolean' } ? boolean : string
export type Options = { readonly [Name in OptionName]?: Value<Name> }

/** What a command has to say. */
export interface Answer {
  readonly text: string
  /** The same for programs, where the command takes `--json`. */
  readonly json?: unknown
  /** For the person who called, beside what goes to the standard output. */
  readonly note?: string
  /** @default 0 */
  readonly exitCode?: 0 | 1
}

export interface Command {
  /** What stands behind the name in the usage. */
  readonly usage: string
  readonly summary: string
  /** How many words there are behind the name. */
  readonly words: 0 | 1 | 2
  readonly options: readonly OptionName[]
  /** Whether it loads a server of the caller's, who may print whatever they like. Left out: never. */
  isServerLoaded? (options: Options): boolean
  /** Do it, and say what was done. The words are as many as there are to be. */
  run (options: Options, words: readonly [string, string], terminal: Terminal): Promise<Answer>
}

/** An error that is told in one sentence and sets the exit code: 1, it could not be done; 2, the call itself is wrong. */
export class CommandError extends TypeError {
  readonly exitCode: 1 | 2

  constructor (message: string, exitCode: 1 | 2) {
    super(message)
    this.exitCode = exitCode
  }
}

export const usageError = (message: string): CommandError => new CommandError(message, 2)
export const failure = (message: string): CommandError => new CommandError(message, 1)

/** Options of the whole program; each means the same wherever it is taken. */
export const OPTIONS = {
  database: { type: 'string' },
  schema: { type: 'string' },
  'table-prefix': { type: 'string' },
  email: { type: 'string' },
  username: { type: 'string' },
  name: { type: 'string' },
  role: { type: 'string', multiple: true },
  none: { type: 'boolean' },
  'password-stdin': { type: 'boolean' },
  'no-password': { type: 'boolean' },
  search: { type: 'string' },
  json: { type: 'boolean' }
} as const

export type OptionName = keyof typeof OPTIONS

type Value<Name extends OptionName> = (typeof OPTIONS)[Name] extends { readonly multiple: true } ? string[] : (typeof OPTIONS)[Name] extends { readonly type: 'boolean' } ? boolean : string
export type Options = { readonly [Name in OptionName]?: Value<Name> }

export interface Command {
  /** What stands behind the name in the usage. */
  readonly usage: string
  readonly summary: string
  /** How many words there are behind the name. */
  readonly words: 0 | 1
  readonly options: readonly OptionName[]
  /** Do it, and say what was done. */
  run (options: Options, word: string): Promise<string>
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

import { Console } from 'node:console'
import { parseArgs } from 'node:util'
import { CommandError, OPTIONS, usageError, type Command, type OptionName, type Options } from './commands/command.ts'
import { basicUsage } from './commands/basic.ts'
import { doctor } from './commands/doctor.ts'
import { keypair } from './commands/keypair.ts'
import { listUsers } from './commands/list-users.ts'
import { migrate } from './commands/migrate.ts'
import { secret } from './commands/secret.ts'
import { policies } from './commands/policies.ts'
import { printableJson, printableLines } from './commands/printable.ts'
import { revokeSessions } from './commands/sessions.ts'
import type { Terminal } from './commands/terminal.ts'
import { createToken, listTokens, revokeToken } from './commands/token.ts'
import { createUser, disableUser, enableUser, setPassword, setRoles } from './commands/user.ts'

const COMMANDS: Readonly<Record<string, Command>> = {
  secret,
  keypair,
  migrate,
  'user create': createUser,
  'user list': listUsers,
  'user disable': disableUser,
  'user enable': enableUser,
  'user roles': setRoles,
  'user password': setPassword,
  'sessions revoke': revokeSessions,
  'token create': createToken,
  'token list': listTokens,
  'token revoke': revokeToken,
  'basic usage': basicUsage,
  policies,
  doctor
}

const USAGE = `Usage: npx fastify-accounts <command>

${Object.entries(COMMANDS).map(([name, { usage, summary }]) => `  ${`${name} ${usage}`.trim()}\n      ${summary}`).join('\n')}

All but "secret", "keypair", "token create", "policies" and "doctor" take --database FILE|URL (default: DATABASE_URL): the path of a SQLite
file, also written as sqlite:FILE, or postgres://…; for PostgreSQL also --schema NAME and --table-prefix PREFIX. With --app the server itself
is loaded, with its own storage. What ends sessions ("user disable", "user password", "sessions revoke") takes --redis URL (default: REDIS_URL)
where they are in Redis, and --redis-prefix PREFIX where the keys have one of their own. WHO is an id, an e-mail address or a user name; an
id that begins with - stands behind --.
All but "secret" and "keypair" take --json: the answer for programs. It stands alone on the standard output.
Exit codes: 0 done, 1 failed, 2 wrong usage. "doctor" ends with 1 if there is an error, with --strict also if there is a warning.`

/** Do what the arguments say, and tell it; the exit code. */
export async function run (args: readonly string[], terminal: Terminal): Promise<number> {
  const { log, error } = new Console({ stdout: terminal.stdout, stderr: terminal.stderr })
  try {
    const { words, options, isHelp } = parse(args)
    if (isHelp || words[0] === 'help') {
      log(USAGE)
      return 0
    }
    const { command, rest } = find(words, options)
    if (command.isServerLoaded?.(options) === true && terminal.runApart !== undefined) return terminal.runApart()
    const { text, json, note, exitCode = 0 } = await command.run(options, [rest[0] ?? '', rest[1] ?? ''], terminal)
    log(options.json === true ? printableJson(json) : printableLines(text))
    if (note !== undefined) error(printableLines(note))
    return exitCode
  } catch (reason) {
    const exitCode = reason instanceof CommandError ? reason.exitCode : 1
    error(printableLines(describe(reason)))
    if (exitCode === 2) error('\n"npx fastify-accounts help" tells what there is.')
    return exitCode
  }
}

/** The command that the words begin with, and the words behind its name. */
function find (words: readonly string[], options: Options): { readonly command: Command, readonly rest: readonly string[] } {
  const name = [words.slice(0, 2), words.slice(0, 1)].map(start => start.join(' ')).find(start => Object.hasOwn(COMMANDS, start))
  if (name === undefined) throw usageError(words.length === 0 ? 'Which command?' : `Unknown command "${words.slice(0, 2).join(' ')}".`)
  const command = COMMANDS[name]!
  const rest = words.slice(name.split(' ').length)
  const unwanted = (Object.keys(options) as OptionName[]).find(option => !command.options.includes(option))
  if (unwanted !== undefined) throw usageError(`"${name}" takes no --${unwanted}.`)
  // Surplus words are not repeated: somebody may have tried to give a password this way.
  if (rest.length !== command.words) throw usageError(`Usage: ${`${name} ${command.usage}`.trim()}`)
  return { command, rest }
}

function parse (args: readonly string[]): { readonly words: readonly string[], readonly options: Options, readonly isHelp: boolean } {
  try {
    const { positionals, values: { help, ...options }, tokens } = parseArgs({ args, allowPositionals: true, tokens: true, options: { ...OPTIONS, help: { type: 'boolean', short: 'h' } } })
    const names = tokens.flatMap(token => token.kind === 'option' && !isMultiple(token.name) ? [token.name] : [])
    const twice = names.find((name, index) => names.indexOf(name) !== index)
    if (twice !== undefined) throw usageError(`--${twice} came twice.`)
    return { words: positionals, options, isHelp: help === true }
  } catch (error) {
    // Its first sentence says what is wrong.
    throw error instanceof CommandError ? error : usageError(String((error as Error).message).replace(/\. .*$/s, '.'))
  }
}

const isMultiple = (name: string) => 'multiple' in (OPTIONS[name as OptionName] ?? {})

/** One sentence; of a store that failed also why, for the operator is the one who can do something about it. */
function describe (error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { cause } = error
  return cause instanceof Error && !error.message.includes(cause.message) ? `${error.message}: ${cause.message}` : error.message
}

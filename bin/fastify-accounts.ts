#!/usr/bin/env node
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { CommandError, OPTIONS, usageError, type Answer, type Command, type OptionName, type Options } from './commands/command.ts'
import { basicUsage } from './commands/basic.ts'
import { doctor } from './commands/doctor.ts'
import { listUsers } from './commands/list-users.ts'
import { keypair } from './commands/keypair.ts'
import { migrate } from './commands/migrate.ts'
import { secret } from './commands/secret.ts'
import { policies } from './commands/policies.ts'
import { printableJson, printableLines } from './commands/printable.ts'
import { revokeSessions } from './commands/sessions.ts'
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
file, also written as sqlite:FILE, or postgres://…; for PostgreSQL also --schema NAME and --table-prefix PREFIX. With --app the server
itself is loaded, with its own database. WHO is an id, an e-mail address or a user name; an id that begins with - stands behind --.
All but "secret" and "keypair" take --json: the answer for programs. It stands alone on the standard output.
Exit codes: 0 done, 1 failed, 2 wrong usage. "doctor" ends with 1 if there is an error, with --strict also if there is a warning.`

/** Set in a process of its own that loads a server: the file descriptor that its answer goes to. */
const ANSWER = 'FASTIFY_ACCOUNTS_ANSWER'
const answerTo = process.env[ANSWER]
// It is nobody else's, and least of all a child's of the server.
delete process.env[ANSWER]

async function main (): Promise<void> {
  const { words, options, isHelp } = parse()
  if (isHelp || words[0] === 'help') return console.log(USAGE)
  const name = [words.slice(0, 2), words.slice(0, 1)].map(start => start.join(' ')).find(start => Object.hasOwn(COMMANDS, start))
  if (name === undefined) throw usageError(words.length === 0 ? 'Which command?' : `Unknown command "${words.slice(0, 2).join(' ')}".`)
  const command = COMMANDS[name]!
  const rest = words.slice(name.split(' ').length)
  const unwanted = (Object.keys(options) as OptionName[]).find(option => !command.options.includes(option))
  if (unwanted !== undefined) throw usageError(`"${name}" takes no --${unwanted}.`)
  // Surplus words are not repeated: somebody may have tried to give a password this way.
  if (rest.length !== command.words) throw usageError(`Usage: ${`${name} ${command.usage}`.trim()}`)
  if (command.isServerLoaded?.(options) === true && answerTo === undefined) return runApart()
  tell(await command.run(options, rest[0] ?? '', rest[1] ?? ''), options)
}

/** A server prints whatever it likes. In a process of its own that goes to the error output, and the answer stands alone. */
function runApart (): void {
  const { status, output } = spawnSync(process.execPath, [...process.execArgv, ...process.argv.slice(1)], { stdio: [0, 2, 2, 'pipe'], env: { ...process.env, [ANSWER]: '3' }, maxBuffer: Infinity })
  process.stdout.write(output?.[3] ?? '')
  process.exitCode = status ?? 1
}

function tell ({ text, json, note, exitCode = 0 }: Answer, options: Options): void {
  const answer = options.json === true ? printableJson(json) : printableLines(text)
  if (answerTo === undefined) console.log(answer)
  else writeFileSync(Number(answerTo), `${answer}\n`)
  if (note !== undefined) console.error(printableLines(note))
  process.exitCode = exitCode
}

function parse (): { readonly words: readonly string[], readonly options: Options, readonly isHelp: boolean } {
  try {
    const { positionals, values: { help, ...options }, tokens } = parseArgs({ allowPositionals: true, tokens: true, options: { ...OPTIONS, help: { type: 'boolean', short: 'h' } } })
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

main().catch((error: unknown) => {
  console.error(printableLines(describe(error)))
  process.exitCode = error instanceof CommandError ? error.exitCode : 1
  if (process.exitCode === 2) console.error('\n"npx fastify-accounts help" tells what there is.')
}).finally(() => {
  // A server that was loaded may have opened what it does not close.
  setTimeout(() => process.exit(), 1000).unref()
})

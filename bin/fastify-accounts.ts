#!/usr/bin/env node
import { randomBytes } from 'node:crypto'
import { parseArgs } from 'node:util'

const USAGE = `Usage: npx fastify-accounts <command>

  secret                      print a strong secret for ACCOUNTS_SECRET
  migrate [--database FILE]   bring the tables up to date (default: DATABASE_URL)

FILE is the path of a SQLite file, also written as sqlite:FILE.`

interface Options { readonly database: string | undefined }

const COMMANDS: Readonly<Record<string, (options: Options) => Promise<string>>> = {
  secret: async () => randomBytes(48).toString('base64url'),
  async migrate ({ database }) {
    const { migrateSqlite } = await import('../lib/adapters/kysely/index.ts')
    const steps = await migrateSqlite(toFile(database))
    return steps.length === 0 ? 'Up to date, nothing to do.' : `Done: ${steps.join(', ')}`
  }
}

/** What is wrong with the call itself, as opposed to what failed in doing it. */
class UsageError extends TypeError {}

function toFile (database = process.env.DATABASE_URL): string {
  if (database === undefined || database === '') throw new UsageError('Which database? Give --database FILE or set DATABASE_URL.')
  const file = database.replace(/^sqlite:(\/\/(?=\/))?/, '')
  if (/^[a-z][a-z0-9+]+:\/\//i.test(file)) throw new UsageError('Only SQLite files can be migrated: --database accounts.db')
  return file
}

async function main (): Promise<string> {
  const { positionals: [command = '', ...rest], values } = parse()
  if (values.help === true || command === 'help') return USAGE
  if (!Object.hasOwn(COMMANDS, command) || rest.length > 0) throw new UsageError(command === '' ? 'Which command?' : `Unknown command "${[command, ...rest].join(' ')}".`)
  return await COMMANDS[command]!({ database: values.database })
}

function parse () {
  try {
    return parseArgs({ allowPositionals: true, options: { database: { type: 'string' }, help: { type: 'boolean', short: 'h' } } })
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

main().then(output => console.log(output), (error: unknown) => {
  console.error(error instanceof Error ? error.message : String(error))
  if (error instanceof UsageError) console.error(`\n${USAGE}`)
  process.exitCode = error instanceof UsageError ? 2 : 1
})

import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { Test } from 'tap'
import { sqliteStorage } from '../../lib/adapters/kysely/index.ts'
import type { User, UserRecord } from '../../types/index.ts'
import { createApp, databaseFile, type TestApp } from './app.ts'
import { ROOT } from './root.ts'

const PROGRAM = join(ROOT, 'dist/bin/fastify-accounts.js')

export interface Outcome { readonly code: number | null, readonly stdout: string, readonly stderr: string }

/** Run the built command as a person does: `input` is the standard input. The test runner's own loader stays behind. */
export async function command (args: readonly string[], { input = '', env = {}, cwd }: { readonly input?: string | Buffer, readonly env?: Record<string, string>, readonly cwd?: string } = {}): Promise<Outcome> {
  const { DATABASE_URL, ...inherited } = process.env
  const child = spawn(process.execPath, [PROGRAM, ...args], { cwd, env: { ...inherited, NODE_OPTIONS: '', ...env } })
  // A command that needs no input may be gone before it is written.
  child.stdin.on('error', () => {}).end(input)
  const [code, stdout, stderr] = await Promise.all([new Promise<number | null>(resolve => child.once('close', resolve)), text(child.stdout), text(child.stderr)])
  return { code, stdout, stderr }
}

export interface CommandDatabase {
  readonly file: string
  run (args: readonly string[], input?: string | Buffer): Promise<Outcome>
  /** What `user list` prints. */
  list (...args: string[]): Promise<User[]>
  /** What is stored, without a process. */
  stored (): Promise<UserRecord[]>
  /** A server on the same file. */
  serve (): Promise<TestApp>
}

/** A database with its tables, and the command on it. */
export async function createDatabase (t: Test): Promise<CommandDatabase> {
  const file = databaseFile(t)
  const run: CommandDatabase['run'] = async (args, input = '') => await command(['--database', file, ...args], { input })
  await (await sqliteStorage(file)).close()
  return {
    file,
    run,
    list: async (...args) => JSON.parse((await run(['user', 'list', '--json', ...args])).stdout) as User[],
    async stored () {
      const storage = await sqliteStorage(file)
      try {
        return await storage.users.list!({ search: null, after: null, limit: 100 })
      } finally {
        await storage.close()
      }
    },
    serve: async () => await createApp(t, { storage: await sqliteStorage(file) })
  }
}

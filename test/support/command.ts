import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import type { Test } from 'tap'
import { run } from '../../bin/run.ts'
import { sqliteStorage } from '../../lib/adapters/kysely/index.ts'
import type { User, UserRecord } from '../../types/index.ts'
import { createApp, databaseFile, type TestApp } from './app.ts'
import { ROOT } from './root.ts'

const PROGRAM = join(ROOT, 'dist/bin/fastify-accounts.js')

export interface Outcome { readonly code: number | null, readonly stdout: string, readonly stderr: string }

/** Run a command within this process. */
export async function command (args: readonly string[], input: string | Buffer = ''): Promise<Outcome> {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()]
  stdin.end(input)
  const code = await run(args, { stdin, stdout, stderr })
  return { code, stdout: await text(stdout.end()), stderr: await text(stderr.end()) }
}

/** Run the built program as a person does: `input` is the standard input. The test runner's own loader stays behind. */
export async function program (args: readonly string[], { input = '', env = {}, cwd }: { readonly input?: string, readonly env?: Record<string, string>, readonly cwd?: string } = {}): Promise<Outcome> {
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
  const onFile: CommandDatabase['run'] = async (args, input) => await command(['--database', file, ...args], input)
  await (await sqliteStorage(file)).close()
  return {
    file,
    run: onFile,
    list: async (...args) => JSON.parse((await onFile(['user', 'list', '--json', ...args])).stdout) as User[],
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

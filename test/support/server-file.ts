import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { ROOT } from './root.ts'

export interface ServerFolder {
  readonly folder: string
  /** Write a module, and say where it is. */
  write (file: string, text: string): string
}

/** A project of a host's in which the built package is installed; removed with the test. */
export function createServerFolder (t: Test): ServerFolder {
  const folder = mkdtempSync(join(tmpdir(), 'accounts-server-'))
  t.teardown(() => { rmSync(folder, { recursive: true, force: true }) })
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  mkdirSync(join(folder, 'node_modules'))
  symlinkSync(join(ROOT, 'node_modules/fastify'), join(folder, 'node_modules/fastify'))
  symlinkSync(ROOT, join(folder, 'node_modules/fastify-accounts'))
  return {
    folder,
    write (file, text) {
      writeFileSync(join(folder, file), text)
      return join(folder, file)
    }
  }
}

/** A server on a database, with a secret: what a host would write, with more options if need be. */
export const serverText = ({ secret, storage, options = '', fastify = '' }: { readonly secret: string, readonly storage: string, readonly options?: string, readonly fastify?: string }): string => `
  import Fastify from 'fastify'
  import accounts from 'fastify-accounts'
  import { postgresStorage, sqliteStorage } from 'fastify-accounts/kysely'
  import { nodemailerMailer } from 'fastify-accounts/nodemailer'
  export async function build () {
    const app = Fastify({ ${fastify} })
    await app.register(accounts, { appUrl: 'http://localhost:3000', secret: '${secret}', storage: ${storage}, ${options} })
    return app
  }
`

import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { FastifyInstance } from 'fastify'
import { formatPolicies } from '../../lib/authorization/format-policies.ts'
import { failure, type Command } from './command.ts'

export const policies: Command = {
  usage: 'FILE [--json]',
  summary: 'print which route demands what; FILE exports the server, or a function that makes it, as default, "app" or "build"',
  words: 1,
  options: ['json'],
  async run ({ json = false }, file) {
    const app = await load(file)
    try {
      await app.ready()
      if (!app.hasDecorator('accounts')) throw failure(`The server in ${file} has no fastify-accounts at its root: print app.accounts.policies() in the scope that has it.`)
      const list = app.accounts.policies()
      return json ? JSON.stringify(list, null, 2) : formatPolicies(list).trimEnd()
    } finally {
      await app.close()
    }
  }
}

async function load (file: string): Promise<FastifyInstance> {
  const exported = await import(pathToFileURL(resolve(file)).href) as { default?: unknown, app?: unknown, build?: unknown }
  const found = [exported.default, exported.app, exported.build].find(one => isServer(one) || typeof one === 'function')
  const app: unknown = typeof found === 'function' ? await found() : found
  return isServer(app) ? app : failNoServer(file)
}

const isServer = (value: unknown): value is FastifyInstance => typeof value === 'object' && value !== null && 'hasDecorator' in value

function failNoServer (file: string): never {
  throw failure(`${file} exports no Fastify server as default, "app" or "build".`)
}

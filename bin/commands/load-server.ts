import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { FastifyInstance } from 'fastify'
import { failure } from './command.ts'

/** What a file must export for `withServer`, for the usage. */
export const SERVER_FILE = 'FILE exports the server, or a function that makes it, as default, "app" or "build"'

/** Do something with the server that a file exports: started as it starts by itself, but for listening, and closed again. */
export async function withServer<Result> (file: string, work: (app: FastifyInstance) => Promise<Result>): Promise<Result> {
  const app = await load(file)
  try {
    await app.ready()
    if (!app.hasDecorator('accounts')) throw failure(`The server in ${file} has no fastify-accounts at its root.`)
    return await work(app)
  } finally {
    await app.close()
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

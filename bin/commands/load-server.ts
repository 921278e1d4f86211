import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { FastifyInstance } from 'fastify'
import { failure } from './command.ts'

/** What a file must export for `withServer`, for the usage. */
export const SERVER_FILE = 'FILE exports the server, or a function that makes it, as default, "app" or "build"'

/** What a file must do that both runs as a program and is loaded. */
export const HOW_TO_EXPORT = 'export the function that makes the server ("export async function build"), and listen only if the file is the program: "if (process.argv[1] === import.meta.filename)", in CommonJS "if (require.main === module)"'

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
  const app = await make(file).catch((error: unknown) => { throw explain(error, file) })
  if (!isServer(app)) throw failure(`${file} exports no Fastify server as default, "app" or "build": ${HOW_TO_EXPORT}.`)
  return app
}

async function make (file: string): Promise<unknown> {
  const exported = await import(pathToFileURL(resolve(file)).href) as { default?: unknown, app?: unknown, build?: unknown }
  const found = [exported.default, exported.app, exported.build].find(one => isServer(one) || typeof one === 'function')
  return typeof found === 'function' ? await found() : found
}

const isServer = (value: unknown): value is FastifyInstance => typeof value === 'object' && value !== null && 'hasDecorator' in value

/** The same, with a cure where we know one. */
function explain (error: unknown, file: string): unknown {
  const { code, message } = (error ?? {}) as { code?: unknown, message?: unknown }
  if (code === 'EADDRINUSE') return failure(`${file} listens when it is loaded, where something listens already (${String(message)}): ${HOW_TO_EXPORT}.`)
  if (code === 'ERR_UNKNOWN_FILE_EXTENSION' && /"\.[cm]?tsx?"/.test(String(message))) return failure(`${String(message)}: compile it first, and name the .js file.`)
  return error
}

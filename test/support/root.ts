import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The folder of the package, also for a test that was compiled to another place. */
export const ROOT = dirname(fileURLToPath(import.meta.resolve('fastify-accounts/package.json')))

import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { Server as TlsServer } from 'node:tls'
import type { FastifyInstance } from 'fastify'
import type { Batch } from './batch.ts'
import { beforeDeadline, monotonic } from './clock.ts'
import type { Signals } from './liveness/signals.ts'
import type { MailService } from './mail/mail.ts'
import type { Passwords } from './passwords/passwords.ts'

interface Parts {
  readonly signals: Pick<Signals, 'close'>
  readonly passwords: Pick<Passwords, 'close'>
  readonly batches: ReadonlyArray<Pick<Batch<unknown>, 'close'>>
  readonly mail: Pick<MailService, 'close'>
  /** What only listens, or waits for its turn. */
  readonly stop: ReadonlyArray<() => void>
  /** Closed when nobody needs it any more. */
  closeStorage (): Promise<void>
}

/** What is written and sent at the end has until so long after the server has begun to close; with what comes after it stays under ten seconds. */
const LAST_MS = 6000
/** What answers at all answers in this time. */
const STORAGE_MS = 1000

/** `node:http` keeps the answer that is under way with its connection: so nothing has to be noted for each request. */
interface Connection extends Socket { readonly _httpMessage?: ServerResponse | null }

/** Once requests have been answered, write what they have left behind, then let go of everything: the process can end by itself. */
export function closeWithServer (app: FastifyInstance, { signals, passwords, batches, mail, stop, closeStorage }: Parts): void {
  let since: number | undefined
  const connections = followConnections(app.server)
  // Before connections are waited for: streams that live on a session would keep the server from ever closing.
  app.addHook('preClose', async () => {
    since = monotonic()
    signals.close()
    for (const connection of connections) endWithAnswer(connection)
  })
  app.addHook('onClose', async () => {
    for (const end of stop) end()
    passwords.close()
    const left = Math.max(STORAGE_MS, LAST_MS - (monotonic() - (since ?? monotonic())))
    const writeAll = async () => await Promise.all(batches.map(async batch => await batch.close()))
    await Promise.all([inTime(writeAll, left, 'what requests have left behind was not written'), mail.close(left)])
    await inTime(closeStorage, STORAGE_MS, 'the account storage could not be closed')
  })

  async function inTime (call: () => Promise<unknown>, ms: number, failure: string): Promise<void> {
    await beforeDeadline(call, ms).catch((error: unknown) => app.log.error({ err: error }, failure))
  }
}

function followConnections (server: FastifyInstance['server']): ReadonlySet<Connection> {
  const connections = new Set<Connection>()
  server.on(server instanceof TlsServer ? 'secureConnection' : 'connection', (connection: Connection) => {
    connections.add(connection)
    connection.once('close', () => connections.delete(connection))
  })
  return connections
}

/** An answer that comes while the server closes is the last of its connection, which would be waited for: it may bring a further request. */
function endWithAnswer (connection: Connection): void {
  const { _httpMessage: answer } = connection
  if (answer === undefined || answer === null) return
  // Says so ("Connection: close"), if it has not begun yet.
  answer.shouldKeepAlive = false
  answer.once('finish', () => connection.destroySoon())
}

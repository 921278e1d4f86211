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

/** Mail that is being sent has until so long after the server has begun to close; with what comes after it stays under ten seconds. */
const MAIL_MS = 7000
/** Far more than a storage that answers needs. */
const STORAGE_MS = 1500

/** Once requests have been answered, write what they have left behind, then let go of everything: the process can end by itself. */
export function closeWithServer (app: FastifyInstance, { signals, passwords, batches, mail, stop, closeStorage }: Parts): void {
  let since: number | undefined
  // Before connections are waited for: streams that live on a session would keep the server from ever closing.
  app.addHook('preClose', async () => {
    since = monotonic()
    signals.close()
  })
  app.addHook('onSend', (request, reply, payload, done) => {
    // Of a connection whose answer comes now the server would wait for a further request.
    if (since !== undefined && request.raw.httpVersionMajor === 1) reply.header('connection', 'close')
    done(null, payload)
  })
  app.addHook('onClose', async () => {
    for (const end of stop) end()
    passwords.close()
    const left = MAIL_MS - (monotonic() - (since ?? monotonic()))
    await Promise.all([...batches.map(async batch => await batch.close()), mail.close(Math.max(0, left))])
    await beforeDeadline(closeStorage, STORAGE_MS).catch((error: unknown) => app.log.error({ err: error }, 'the account storage could not be closed'))
  })
}

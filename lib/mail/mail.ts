import type { FastifyBaseLogger } from 'fastify'
import type { Mailer } from '../../types/mailer.ts'
import { pause } from '../clock.ts'
import { FST_ACCOUNTS_OPTION_INVALID } from '../errors.ts'
import type { Hooks } from '../hooks.ts'
import type { MailSettings } from '../options/mail.ts'
import type { GuardedStorage } from '../storage.ts'
import type { OneTimeTokens } from '../tokens/one-time.ts'
import { createDelivery } from './delivery.ts'
import { createMessages } from './messages.ts'
import { startOutbox, type OutboxWorker } from './outbox.ts'
import { createPost, NO_POST, type Post } from './post.ts'
import { describeThrown } from './reason.ts'

/** That a mailer has to close. */
const CLOSE_MS = 1000

export interface MailService {
  readonly post: Post
  /** `null`: there is no mailer. */
  load (): ReturnType<OutboxWorker['load']> | null
  /** Finish what is being sent, within so many milliseconds, then close the mailer. */
  close (patience: number): Promise<void>
}

export interface MailDependencies {
  /** `null`: there is no mailer. */
  readonly settings: MailSettings | null
  readonly storage: GuardedStorage
  readonly oneTimeTokens: OneTimeTokens
  readonly hooks: Hooks
  readonly log: FastifyBaseLogger
}

/** From the outbox to the mailer. @throws {FST_ACCOUNTS_OPTION_INVALID} for a storage that mail can't do with */
export function startMail ({ settings, storage, oneTimeTokens, hooks, log }: MailDependencies): MailService {
  if (settings === null) {
    log.info('fastify-accounts: there is no mailer, so nobody can recover an account or verify an address')
    return { post: NO_POST, load: () => null, close: async () => {} }
  }
  requireForMail(storage)
  const render = createMessages(settings, (kind, reason) => log.error({ kind, reason }, 'a mail text of the host failed, the package\'s own was sent'))
  const deliver = createDelivery({ storage, oneTimeTokens, settings, render })
  const onFailure = (reason: string, { id, kind, attempts }: { readonly id: string, readonly kind: string, readonly attempts: number }) => log.warn({ reason, mail: { id, kind, attempts } }, 'a mail was not sent')
  const worker = startOutbox({ outbox: storage.outbox!, deliver, onFailure, hooks })
  return {
    post: createPost(worker.kick),
    load: worker.load,
    async close (patience) {
      await worker.close(patience)
      await closeMailer(settings.mailer, log)
    }
  }
}

/** Whatever it does, what is to be closed after it is closed. */
async function closeMailer (mailer: Mailer, log: FastifyBaseLogger): Promise<void> {
  const closed = new AbortController()
  try {
    await Promise.race([(async () => await mailer.close?.())(), pause(CLOSE_MS, closed.signal)])
  } catch (error) {
    log.error({ reason: describeThrown(error, []) }, 'the mailer could not be closed')
  } finally {
    closed.abort()
  }
}

function requireForMail (storage: GuardedStorage): void {
  for (const store of ['oneTimeTokens', 'outbox'] as const) {
    if (storage[store] === undefined) throw new FST_ACCOUNTS_OPTION_INVALID(`storage.${store}`, 'is missing: a mailer needs it')
  }
  for (const verb of ['confirmEmail', 'changeEmail'] as const) {
    if (storage.users[verb] === undefined) throw new FST_ACCOUNTS_OPTION_INVALID(`storage.users.${verb}`, 'is missing: a mailer needs it')
  }
}

import type { FastifyBaseLogger } from 'fastify'
import { FST_ACCOUNTS_OPTION_INVALID } from '../errors.ts'
import type { Hooks } from '../hooks.ts'
import type { MailSettings } from '../options/mail.ts'
import type { GuardedStorage } from '../storage.ts'
import type { OneTimeTokens } from '../tokens/one-time.ts'
import { createDelivery } from './delivery.ts'
import { createMessages } from './messages.ts'
import { startOutbox } from './outbox.ts'
import { createPost, NO_POST, type Post } from './post.ts'

export interface MailService {
  readonly post: Post
  /** Finish what is being sent, then close the mailer. */
  close (): Promise<void>
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
    return { post: NO_POST, close: async () => {} }
  }
  requireForMail(storage)
  const render = createMessages(settings, (kind, reason) => log.error({ kind, reason }, 'a mail text of the host failed, the package\'s own was sent'))
  const deliver = createDelivery({ storage, oneTimeTokens, settings, render })
  const onFailure = (error: unknown, { id, kind, attempts }: { readonly id: string, readonly kind: string, readonly attempts: number }) => log.warn({ err: error, mail: { id, kind, attempts } }, 'a mail was not sent')
  const worker = startOutbox({ outbox: storage.outbox!, deliver, onFailure, hooks })
  return {
    post: createPost(worker.kick),
    async close () {
      await worker.close()
      await settings.mailer.close?.()
    }
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

import type { FastifyRequest } from 'fastify'
import type { MailKind } from '../../types/mailer.ts'
import type { OutboxRecord, PersonalTokenRecord, Stores, UserRecord } from '../../types/storage.ts'
import { now } from '../clock.ts'
import { randomFraction, randomId } from '../random.ts'
import { clientAddress, clientUserAgent, describeDevice } from '../requests/client.ts'

/** A mail to write: it goes to the address of the user as it is stored, unless there is a new one to prove. */
interface Letter {
  readonly kind: MailKind
  readonly user: UserRecord
  readonly newEmail?: string
  /** The personal token that it is about. */
  readonly token?: Pick<PersonalTokenRecord, 'name' | 'expiresAt' | 'lastUsedAt'>
  readonly request: FastifyRequest | null
}

/** Puts mail into an outbox, so that it lands with what it is about or not at all. */
export interface Post {
  enqueue (stores: Pick<Stores, 'outbox'>, letter: Letter): Promise<void>
  /** The same for nobody: whoever asks about an address without an account waits as long, for the same work. */
  enqueueNothing (stores: Pick<Stores, 'outbox'>, request: FastifyRequest | null): Promise<void>
  /** Mail has landed: send it soon rather than at the next turn. */
  kick (): void
}

const KICK_MS = 10

/** Mail to nobody; who claims it throws it away. */
export const NOTHING = 'nothing'

export function createPost (kick: () => void): Post {
  const write = async ({ outbox }: Pick<Stores, 'outbox'>, request: FastifyRequest | null, mail: Pick<OutboxRecord, 'kind' | 'userId' | 'recipient' | 'data'>) => {
    const at = new Date(now())
    await outbox!.enqueue({ ...mail, id: randomId(), locale: request && preferredLocale(request), attempts: 0, createdAt: at, dueAt: at })
  }
  const describe = (request: FastifyRequest | null, epoch: number) => ({
    at: new Date(now()).toISOString(),
    device: request && describeDevice(clientUserAgent(request)),
    address: request && clientAddress(request),
    // What was asked for before the password was changed is not carried out after it.
    epoch: String(epoch)
  })
  return {
    // The answer goes out first: its time must not tell what is sent after it.
    kick () { setTimeout(kick, KICK_MS * (1 + randomFraction())).unref() },
    async enqueue (stores, { kind, user, newEmail, token, request }) {
      const data = { ...describe(request, user.epoch), ...(newEmail === undefined ? {} : { newEmail }), ...(token === undefined ? {} : describeToken(token)) }
      await write(stores, request, { kind, userId: user.id, recipient: kind === 'change-email' ? newEmail! : user.email, data })
    },
    enqueueNothing: async (stores, request) => await write(stores, request, { kind: NOTHING, userId: null, recipient: '', data: describe(request, 0) })
  }
}

const describeToken = ({ name, expiresAt, lastUsedAt }: NonNullable<Letter['token']>) => ({
  tokenName: name, expiresAt: expiresAt.toISOString(), lastUsedAt: lastUsedAt === null ? null : lastUsedAt.toISOString()
})

/** Without a mailer nobody is written to. */
export const NO_POST: Post = { enqueue: async () => {}, enqueueNothing: async () => {}, kick: () => {} }

/** The language that the client asks for first (RFC 9110, 12.5.4), `null` for what is no language tag (RFC 5646, 2.1). */
function preferredLocale (request: FastifyRequest): string | null {
  const [first = ''] = (request.headers['accept-language'] ?? '').split(/[,;]/, 1)
  return /^[a-z]{2,8}(-[a-z0-9]{1,8}){0,4}$/i.test(first.trim()) ? first.trim() : null
}

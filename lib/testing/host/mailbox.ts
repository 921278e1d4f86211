import { AssertionError, fail } from 'node:assert/strict'
import type { Mail, Mailer, MailKind } from '../../../types/mailer.ts'
import type { Duration } from '../../../types/policy.ts'
import { DURATION_FORMAT, parseDuration } from '../../duration.ts'

export interface WantedMail {
  /** As it is written in the account. */
  readonly to?: string
  readonly kind?: MailKind
  /** How long to wait for it. @default '5s' */
  readonly within?: Duration
}

/** A mailer that keeps what it is given. */
export interface Mailbox extends Mailer {
  /** All that was sent, in order. */
  readonly messages: readonly Mail[]
  /**
   * Take the first mail that fits and was not taken yet, or the next one that arrives. Mail goes out behind the answer to the
   * request that asks for it, so there may be none yet.
   * @throws an AssertionError, which says what there is instead, if none comes in time
   */
  next (wanted?: WantedMail): Promise<Mail>
}

export function createMailbox (): Mailbox {
  const messages: Mail[] = []
  const untaken: Mail[] = []
  const lookouts = new Set<() => void>()

  return {
    messages,
    async send (mail) {
      messages.push(mail)
      untaken.push(mail)
      for (const look of lookouts) look()
    },
    async next (wanted = {}) {
      const patience = parseDuration(wanted.within ?? '5s') ?? fail(`within ${DURATION_FORMAT}`)
      return await new Promise((resolve, reject) => {
        const look = () => {
          const at = untaken.findIndex(mail => fits(mail, wanted))
          if (at === -1) return
          leave()
          resolve(untaken.splice(at, 1)[0]!)
        }
        const leave = () => {
          clearTimeout(timer)
          lookouts.delete(look)
        }
        const timer = setTimeout(() => {
          leave()
          reject(new AssertionError({ message: `no mail came that fits ${JSON.stringify(wanted)}; not taken yet: ${untaken.map(describe).join(', ') || 'none'}` }))
        }, patience)
        lookouts.add(look)
        look()
      })
    }
  }
}

const fits = (mail: Mail, { to, kind }: WantedMail) => (to === undefined || mail.to === to) && (kind === undefined || mail.kind === kind)

const describe = ({ kind, to }: Mail) => `${kind ?? 'one of your own'} to ${to}`

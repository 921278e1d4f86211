import nodemailer from 'nodemailer'
import type { Mail, Mailer } from '../../../types/mailer.ts'
import type { Duration } from '../../../types/policy.ts'
import { pause } from '../../clock.ts'
import { DURATION_FORMAT, parseDuration } from '../../duration.ts'
import { FST_ACCOUNTS_OPTION_INVALID } from '../../errors.ts'
import { parseAddress, readSender, type NamedAddress, type Sender } from './address.ts'
import { describeFailure, failure } from './failure.ts'
import { greet, resolveSmtp, type SmtpOptions } from './smtp.ts'

export type { Sender } from './address.ts'

export interface NodemailerOptions {
  /** Who sends: an address, or `Name <address>`. */
  readonly from: Sender
  /** Where answers go. @default from */
  readonly replyTo?: Sender
  /** For one mail, from first to last; after that the connection is dropped. @default '20s' */
  readonly timeout?: Duration
}

/** A transport of nodemailer, as far as it is needed. */
export interface MailTransport {
  sendMail (message: object): Promise<unknown>
  verify?(): Promise<unknown>
}

/** For what is being sent while the server closes. */
const LAST_WORDS_MS = 1000

/**
 * Send by nodemailer.
 * @param smtp how to reach a server; or a transport of yours (`nodemailer.createTransport`), which you close yourself
 * @throws {FST_ACCOUNTS_OPTION_INVALID} and what it returns rejects with {FST_ACCOUNTS_MAIL_FAILED}
 */
export function nodemailerMailer (smtp: SmtpOptions | MailTransport, options: NodemailerOptions): Mailer & Required<Pick<Mailer, 'verify' | 'close'>> {
  const { from, replyTo, timeout } = readOptions(options)
  const { transport, verify, end } = open(smtp, timeout)
  const underWay = new Map<AbortController, Promise<unknown>>()

  const bounded = async (work: (signal: AbortSignal) => Promise<unknown>): Promise<void> => {
    const control = new AbortController()
    const working = inTime(work(control.signal), timeout, control)
    underWay.set(control, working)
    try {
      await working
    } catch (error) {
      throw describeFailure(error)
    } finally {
      underWay.delete(control)
    }
  }
  return {
    async send (mail) {
      const message = compose(mail, from, replyTo)
      await bounded(async signal => await transport.sendMail({ ...message, signal }))
    },
    async verify () {
      await bounded(verify)
    },
    async close () {
      if (underWay.size > 0) await Promise.race([Promise.allSettled(underWay.values()), pause(LAST_WORDS_MS)])
      for (const control of underWay.keys()) control.abort()
      end()
    }
  }
}

function readOptions (options: NodemailerOptions) {
  const { from, replyTo, timeout = '20s', ...others } = options ?? {}
  const [unknown] = Object.keys(others)
  if (unknown !== undefined) throw new FST_ACCOUNTS_OPTION_INVALID(unknown, 'is unknown')
  const milliseconds = parseDuration(timeout)
  if (milliseconds === null) throw new FST_ACCOUNTS_OPTION_INVALID('timeout', DURATION_FORMAT)
  return { from: readSender(from, 'from'), replyTo: replyTo === undefined ? null : readSender(replyTo, 'replyTo'), timeout: milliseconds }
}

interface Opened {
  readonly transport: MailTransport
  verify (signal: AbortSignal): Promise<unknown>
  /** Close what was opened here. */
  end (): void
}

function open (smtp: SmtpOptions | MailTransport, timeout: number): Opened {
  if (typeof smtp !== 'object' || smtp === null) throw new FST_ACCOUNTS_OPTION_INVALID('smtp', `must be an object with a host, or a transport of nodemailer, not ${smtp === null ? 'null' : typeof smtp}`)
  if ('sendMail' in smtp) {
    if (typeof smtp.sendMail !== 'function') throw new FST_ACCOUNTS_OPTION_INVALID('smtp.sendMail', 'must be a function')
    return { transport: smtp, verify: async () => await smtp.verify?.(), end () {} }
  }
  const settings = resolveSmtp(smtp, timeout)
  if (smtp.allowUnauthorizedCerts === true) process.emitWarning('smtp.allowUnauthorizedCerts is set: whoever is between this server and its mail server can read passwords and mail', { type: 'FastifyAccountsWarning' })
  const transport = nodemailer.createTransport(settings)
  return { transport, verify: async signal => await greet(settings, signal), end: () => transport.close() }
}

/** @throws {FST_ACCOUNTS_MAIL_FAILED} permanent, for what must not go out */
function compose ({ to, subject, text, html, id }: Mail, from: NamedAddress, replyTo: NamedAddress | null): object {
  const address = parseAddress(to)
  if (address === null) throw failure('the address is not a plain one', true)
  // Nodemailer would read a file, or the web, for some objects.
  for (const part of [subject, text, html]) if (typeof part !== 'string') throw failure('subject, text and html must be texts', true)
  if (/[\p{Cc}\p{Zl}\p{Zp}]/u.test(subject)) throw failure('the subject has more than one line', true)
  if (id !== undefined && !/^[\w-]{1,128}$/.test(id)) throw failure('the id is ill-formed', true)
  return {
    from,
    ...(replyTo === null ? {} : { replyTo }),
    // As objects, which nodemailer does not look for separators in, as it does in texts (CVE-2025-13033).
    to: { name: '', address },
    envelope: { from: { name: '', address: from.address }, to: [{ name: '', address }] },
    subject,
    text,
    html,
    ...(id === undefined ? {} : { messageId: `<${id}@${from.address.split('@')[1]}>` }),
    // RFC 3834: nobody's "I am away" is wanted.
    headers: { 'Auto-Submitted': 'auto-generated' },
    xMailer: false,
    disableFileAccess: true,
    disableUrlAccess: true
  }
}

/** A server that says a byte now and then is never silent, and would keep its client for ever. */
async function inTime<T> (work: Promise<T>, timeout: number, control: AbortController): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(failure(`it took more than ${timeout / 1000} s`, false))
      control.abort()
    }, timeout)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

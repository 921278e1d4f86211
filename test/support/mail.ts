import type { Test } from 'tap'
import { nodemailerMailer } from '../../lib/adapters/nodemailer/index.ts'
import { tokenOf } from '../../lib/testing/index.ts'
import type { AccountsOptions } from '../../types/index.ts'
import { createApp, PASSWORD, type TestApp } from './app.ts'
import type { Client } from './client.ts'
import { startSmtp, type Smtp } from './smtp.ts'

export { tokenOf } from '../../lib/testing/index.ts'

type ReceivedMail = Smtp['messages'][number]

export const APP_URL = 'http://localhost:3000'

export interface MailApp extends TestApp {
  readonly smtp: Smtp
  /** Wait for the next mail that was not taken yet. */
  takeMail (): Promise<ReceivedMail>
  /** Mail that arrives while nothing more is to be sent: wait until the outbox is empty, then take all. */
  takeAll (): Promise<ReceivedMail[]>
  /** The token in the link of the next mail. */
  takeToken (): Promise<string>
  /** An account with a verified address, signed in; its mails are taken. */
  member (email?: string): Promise<Client>
}

/** The plugin with a real SMTP server of its own. */
export async function createMailApp (t: Test, options: Partial<AccountsOptions> = {}, smtp?: Smtp): Promise<MailApp> {
  const server = smtp ?? await startSmtp(t)
  const mailer = mailerFor(server)
  const test = await createApp(t, { mailer, ...options })
  let taken = 0
  let members = 0

  async function takeMail (): Promise<ReceivedMail> {
    return (await server.received(++taken))[taken - 1]!
  }

  const mail: MailApp = {
    ...test,
    smtp: server,
    takeMail,
    async takeAll () {
      while (await countWaiting(test) > 0) await new Promise(resolve => setTimeout(resolve, 5))
      const mails = server.messages.slice(taken)
      taken = server.messages.length
      return mails
    },
    takeToken: async () => tokenOf(await takeMail()),
    async member (email = `member${++members}@example.com`) {
      const browser = test.client()
      await browser.post('/auth/register', { email, password: PASSWORD })
      const verified = await browser.post('/auth/email/verify', { token: await mail.takeToken() })
      const login = await browser.post('/auth/login', { email, password: PASSWORD })
      if (verified.statusCode !== 204 || login.statusCode !== 200) throw new TypeError(`verification answered ${verified.body}, login ${login.body}`)
      return browser
    }
  }
  return mail
}

/** Ask for a mail to nobody: whatever is due is sent now rather than at the next turn. */
export async function kick ({ client }: Pick<TestApp, 'client'>): Promise<void> {
  await client().post('/auth/password/forgot', { email: 'nobody@example.com' })
}

/** A mailer without a pool, so that no connection outlives a test. */
export const mailerFor = ({ host, port }: Pick<Smtp, 'host' | 'port'>) => nodemailerMailer({ host, port, pool: false, secure: false, allowUnauthorizedCerts: true }, { from: 'Example <accounts@example.com>' })

async function countWaiting ({ storage }: TestApp): Promise<number> {
  const users = await storage.users.list!({ search: null, after: null, limit: 1000 })
  const waiting = await Promise.all(users.map(async ({ id }) => await storage.outbox!.listForUser(id)))
  return waiting.flat().length
}

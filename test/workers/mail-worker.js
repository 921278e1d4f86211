// Asks for mail in every way, by turns, and tells what was acknowledged, until somebody kills it; it also sends what
// waits. Its address tells, besides the storage, where the mail server is, and how far its clock is ahead.
import { nodemailerMailer } from 'fastify-accounts/nodemailer'
import { address, createServer, moveClock, serve } from './server.js'

const PASSWORDS = ['violet harbor 92 lantern', 'copper meadow 57 compass']

moveClock(address.ahead)
const app = await createServer(() => {}, {
  throttle: false,
  rateLimit: false,
  mail: { linkTtl: { resetPassword: '30m' } },
  mailer: nodemailerMailer({ host: '127.0.0.1', port: address.smtpPort }, { from: 'accounts@example.com', timeout: '1s' })
})
const { users } = app.accounts

async function post (url, payload, jar = {}) {
  const cookie = Object.entries(jar).map(([name, value]) => `${name}=${value}`).join('; ')
  const answer = await app.inject({ method: 'POST', url, headers: { cookie }, payload })
  for (const { name, value } of answer.cookies) jar[name] = value
  return answer.statusCode
}

/** Do what has mails sent, and tell before and after: `[kind, address]` each. */
async function ask (mails, work) {
  process.send({ id: 'begun', result: mails })
  if (await work() < 300) process.send({ id: 'acknowledged', result: mails })
}

const times = async (most, work) => { for (let count = 1 + Math.floor(Math.random() * most); count > 0; count--) await work(count) }

const SCRIPTS = [
  async email => {
    const mails = [['verify-email', email]]
    await ask(mails, () => post('/auth/register', { email, password: PASSWORDS[0] }))
    await times(2, () => ask(mails, () => post('/auth/email/resend', { email })))
  },
  async email => {
    await users.create({ email, emailVerified: true })
    await times(3, () => ask([['reset-password', email]], () => post('/auth/password/forgot', { email })))
  },
  async email => {
    const jar = {}
    await users.create({ email, password: PASSWORDS[0], emailVerified: true })
    await post('/auth/login', { email, password: PASSWORDS[0] }, jar)
    await times(2, count => {
      const wanted = `${count}.${email}`
      return ask([['change-email', wanted], ['email-change-requested', email]], () => post('/auth/email/change', { email: wanted, password: PASSWORDS[0] }, jar))
    })
  },
  async email => {
    const jar = {}
    await users.create({ email, password: PASSWORDS[0], emailVerified: true })
    await post('/auth/login', { email, password: PASSWORDS[0] }, jar)
    await ask([['password-changed', email]], () => post('/auth/password/change', { currentPassword: PASSWORDS[0], newPassword: PASSWORDS[1] }, jar))
  }
]

async function churn (lane) {
  for (let count = 0; ; count++) {
    // A fault of the storage is told to the next.
    await SCRIPTS[(count + lane) % SCRIPTS.length](`lane${lane}-${process.pid}-${count}@example.com`).catch(() => {})
    await new Promise(resolve => setTimeout(resolve, Math.random() * 100))
  }
}

let isChurning = false

serve({
  churn () {
    if (isChurning) return
    isChurning = true
    for (const lane of [0, 1]) void churn(lane)
  },
  /** Send what is due now rather than at the next turn. */
  kick: () => post('/auth/password/forgot', { email: 'nobody@example.com' })
})

import t from 'tap'
import type { Test } from 'tap'
import type { AccountsOptions } from '../types/index.ts'
import { createPost } from '../lib/mail/post.ts'
import { createNotices } from '../lib/personal-tokens/notices.ts'
import { guardStorage } from '../lib/storage.ts'
import { OTHER_PASSWORD, PASSWORD } from './support/app.ts'
import { DAY, holdClock, HOUR } from './support/clock.ts'
import { createMailApp } from './support/mail.ts'
import { makeToken, statusOf, type MadeToken } from './support/tokens-of.ts'

async function create (t: Test, options: Partial<AccountsOptions> = {}) {
  const test = await createMailApp(t, options)
  const send = createNotices(guardStorage(test.storage), createPost(() => {}))
  /** What housekeeping does each hour, on so many nodes at once; then the mails that come of it. */
  const sweep = async (nodes = 1) => {
    await Promise.all(Array.from({ length: nodes }, send))
    await test.client().post('/auth/password/forgot', { email: 'nobody@example.com' })
    return (await test.takeAll()).map(({ text }) => text)
  }
  return { ...test, sweep }
}

const iso = (inMilliseconds: number) => new Date(Date.now() + inMilliseconds).toISOString()

t.test('the owner is told of each new token, in the transaction that makes it, and never the secret', async t => {
  const { member, takeMail, takeAll } = await create(t)
  const browser = await member('ada@example.com')
  const first = await makeToken(browser, { name: 'Nightly report' })
  const mail = await takeMail()
  t.match(mail.text, 'Nightly report')
  t.notMatch(mail.text, first.token.slice(4, 20))
  const { token } = (await browser.post(`/auth/tokens/${first.personalToken.id}/rotate`, { overlap: '1h' })).json<MadeToken>()
  t.notMatch((await takeMail()).text, token.slice(4, 20))
  await browser.request('PATCH', `/auth/tokens/${first.personalToken.id}`, { name: 'other' })
  t.equal((await takeAll()).length, 0)
})

t.test('seven days and one day before a token ends its owner is told, once, whatever number of nodes look', async t => {
  const clock = holdClock(t)
  const { member, takeAll, sweep } = await create(t)
  const browser = await member('ada@example.com')
  await makeToken(browser, { name: 'Nightly report', expiresAt: iso(10 * DAY) })
  await takeAll()
  t.strictSame(await sweep(), [])
  clock.advance(3 * DAY + HOUR)
  const notices = await sweep(4)
  t.equal(notices.length, 1)
  t.match(notices[0]!, /Nightly report[\s\S]*Last used: never/)
  t.strictSame(await sweep(4), [])
  clock.advance(6 * DAY)
  t.equal((await sweep(4)).length, 1)
  clock.advance(2 * DAY)
  t.strictSame(await sweep(), [])
})

t.test('what was missed is told once, and what is over is not told', async t => {
  const clock = holdClock(t)
  const { app, storage, member, takeAll, sweep } = await create(t)
  const browser = await member('ada@example.com')
  const [, revoked, replaced, gone] = [
    await makeToken(browser, { name: 'missed', expiresAt: iso(10 * DAY) }),
    await makeToken(browser, { name: 'revoked', expiresAt: iso(10 * DAY) }),
    await makeToken(browser, { name: 'replaced', expiresAt: iso(10 * DAY) }),
    await makeToken(browser, { name: 'gone', expiresAt: iso(2 * DAY) })
  ]
  await browser.request('DELETE', `/auth/tokens/${revoked.personalToken.id}`)
  await browser.post(`/auth/tokens/${replaced.personalToken.id}/rotate`, { overlap: '10d' })
  await takeAll()
  const eve = await member('eve@example.com')
  await makeToken(eve, { name: 'disabled', expiresAt: iso(10 * DAY) })
  await app.accounts.users.update((await app.accounts.users.findByEmail('eve@example.com'))!.id, { disabled: true })
  await takeAll()
  clock.advance(9 * DAY + HOUR)
  const notices = await sweep(2)
  t.strictSame(notices.map(text => /missed|revoked|replaced|gone|disabled/.exec(text)?.[0]).sort(), ['missed', 'replaced'], 'of the replaced one it is the successor, whose life is as long')
  t.equal((await storage.personalTokens!.find(gone.personalToken.id))!.noticeAt, null)
  t.strictSame(await sweep(), [])
})

t.test('T-09 a password that is reset by mail ends the tokens, and one that is changed does not', async t => {
  const { app, member, client, takeAll, takeToken } = await create(t)
  const browser = await member('ada@example.com')
  const { token } = await makeToken(browser)
  await takeAll()
  await browser.post('/auth/password/change', { currentPassword: PASSWORD, newPassword: OTHER_PASSWORD })
  t.equal(await statusOf(app, token), 200)
  await takeAll()
  await client().post('/auth/password/forgot', { email: 'ada@example.com' })
  t.equal((await client().post('/auth/password/reset', { token: await takeToken(), password: PASSWORD })).statusCode, 204)
  t.equal(await statusOf(app, token), 401)
})

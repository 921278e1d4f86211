import t from 'tap'
import { createApp } from './support/app.ts'
import { byRefresh, createApiClient, granted, type Grant } from './support/bearer.ts'
import { holdClock, HOUR, MINUTE, stopClock } from './support/clock.ts'

t.test('F-24 F-25 what a server has made whose clock was ahead logs nobody out, and a logout with it is one', async t => {
  const clock = holdClock(t)
  const alarms: string[] = []
  const subject = await createApp(t, { hooks: { sessionReused: ({ sessionId }) => { alarms.push(sessionId) } } })
  const { app, signedUp } = subject
  for (const ahead of [MINUTE, 5 * MINUTE, HOUR]) {
    const title = `${ahead / MINUTE} min`
    const ada = await signedUp()
    const { refresh_token: first } = await granted(subject, `api${ahead}@example.com`)
    clock.jump(ahead)
    const rotated = await ada.post('/auth/refresh')
    t.equal(rotated.headers['accounts-refresh'], 'rotated', title)
    const { access_token: token, refresh_token: second } = (await byRefresh(app, first)).json<Required<Grant>>()
    clock.jump(-ahead)

    const early = ada.copy()
    t.equal((await ada.get('/private')).statusCode, 200, `${title}: the guard renews`)
    t.equal((await ada.post('/auth/refresh')).statusCode, 200, title)
    t.equal((await createApiClient(app, token).get('/private')).statusCode, ahead === MINUTE ? 200 : 401, `${title}: by itself an access token of later is worth nothing`)
    t.equal((await byRefresh(app, second)).statusCode, 200, title)
    clock.advance(MINUTE)
    t.equal((await ada.get('/private')).statusCode, 200, title)

    t.equal((await early.copy().post('/auth/logout')).statusCode, 204, title)
    for (const browser of [ada, early]) t.equal((await browser.get('/private')).statusCode, 401, `${title}: logged out`)
  }
  t.strictSame(alarms, [])
})

t.test('F-25 whenever a clock jumps while a guard renews, nobody is logged out', async t => {
  const clock = stopClock(t)
  const { now } = Date
  const { signedUp } = await createApp(t)
  for (const jump of [HOUR, -HOUR]) {
    let isOver = false
    for (let readings = 0; !isOver; readings++) {
      const ada = await signedUp()
      delete ada.cookies.accounts_access
      let left = readings
      Date.now = () => {
        if (left-- === 0) clock.jump(jump)
        return now()
      }
      const { statusCode, cookies } = await ada.get('/private')
      Date.now = now
      isOver = left >= 0
      t.ok([200, 503].includes(statusCode), `${jump / HOUR} h at reading ${readings}: ${statusCode}`)
      if (statusCode === 503) t.strictSame(cookies, [])
      t.equal((await ada.get('/private')).statusCode, 200)
    }
  }
})

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { freePort } from './services/free-port.js'
import { OTHER_PASSWORD, PASSWORD } from './support/app.ts'
import { holdClock, MINUTE } from './support/clock.ts'
import { ROOT } from './support/root.ts'
import { launch, startWeb } from './support/web.ts'

const browser = await launch(t)
const EMAIL = 'ada@example.com'

t.test('in a browser, without JavaScript: register, confirm, sign in, forget the password, set another, sign out', async t => {
  const site = await startWeb(t, browser)
  const ada = await site.open({ javaScriptEnabled: false })
  await ada.go('/register')
  await ada.send({ email: EMAIL, name: 'Ada', password: 'short' }, 'Create account')
  t.match(await ada.page.locator('#password-wrong').textContent(), /at least 15 characters/, 'beside the field')
  t.strictSame([await ada.page.inputValue('#email'), await ada.page.inputValue('#name'), await ada.page.inputValue('#password')], [EMAIL, 'Ada', ''], 'with what was typed, but for the password')
  t.equal(await ada.page.getAttribute('#password', 'aria-describedby'), 'password-hint password-wrong')
  await ada.send({ password: PASSWORD }, 'Create account')
  t.equal(await ada.heading(), 'Check your mail')

  await ada.go('/login')
  await ada.signIn(EMAIL)
  const refusal = await ada.notice()
  t.match(refusal, /Wrong name or password/)
  await ada.followMail(/Confirm your e-mail address/)
  t.equal(await ada.heading(), 'Confirm your address')
  await ada.send({}, 'Confirm address')
  t.match(await ada.notice(), /is confirmed/)
  await ada.page.reload()
  t.equal(await ada.page.locator('.notice').count(), 0, 'it is said once')

  await ada.signIn(EMAIL, OTHER_PASSWORD)
  t.equal(await ada.notice(), refusal, 'no answer tells more than another')
  t.equal(await ada.page.inputValue('#email'), EMAIL)
  await ada.signIn(EMAIL)
  t.equal(await ada.heading(), 'Hello, Ada')
  t.strictSame((await ada.context.cookies()).map(({ name, httpOnly }) => ({ name, httpOnly })).sort((a, b) => a.name < b.name ? -1 : 1), [
    { name: 'accounts_access', httpOnly: true }, { name: 'accounts_device', httpOnly: true }, { name: 'accounts_refresh', httpOnly: true }
  ])
  await ada.send({}, 'Sign out')
  t.equal(await ada.notice(), 'You are signed out.')

  await ada.follow('Forgot your password?')
  await ada.send({ email: EMAIL }, 'Send link')
  t.match(await ada.notice(), /a link is on its way/)
  await ada.followMail(/Reset your password/)
  await ada.send({ password: 'passwordpassword' }, 'Set password')
  t.match(await ada.page.locator('#password-wrong').textContent(), /too easy/, 'a password that is refused leaves the link good')
  await ada.send({ password: OTHER_PASSWORD }, 'Set password')
  t.match(await ada.notice(), /new password is set/)
  await ada.signIn(EMAIL, OTHER_PASSWORD)
  t.equal(await ada.heading(), 'Hello, Ada')
  await ada.followMail(/Reset your password/)
  await ada.send({ password: PASSWORD }, 'Set password')
  t.match(await ada.notice(), /The link is invalid, has expired, or was used already/)

  await ada.go('/profile/password')
  await ada.send({ currentPassword: PASSWORD, newPassword: PASSWORD }, 'Change password')
  t.equal(await ada.page.locator('#currentPassword-wrong').textContent(), 'Wrong password.')
  await ada.send({ currentPassword: OTHER_PASSWORD, newPassword: PASSWORD }, 'Change password')
  t.match([ada.path(), await ada.notice()], ['/profile', /password is changed/])
  t.strictSame(site.problems, [])
})

t.test('in a browser: the profile, another address, an export, and an account that is deleted', async t => {
  const site = await startWeb(t, browser)
  const clock = holdClock(t)
  const ada = await site.open()
  await ada.go('/profile')
  t.match([ada.path(), await ada.notice()], ['/login', /Please sign in/])
  await ada.join(EMAIL)
  await ada.go('/profile')
  await ada.send({ name: 'Ada <b>Lovelace</b>' }, 'Save')
  t.equal(await ada.notice(), 'Your profile is saved.')
  await ada.go('/')
  t.equal(await ada.heading(), 'Hello, Ada <b>Lovelace</b>', 'escaped')

  await ada.go('/profile/email')
  await ada.send({ email: 'countess@example.com', password: OTHER_PASSWORD }, 'Send link')
  t.equal(await ada.page.locator('#password-wrong').textContent(), 'Wrong password.')
  t.equal(await ada.page.inputValue('#email'), 'countess@example.com')
  await ada.send({ password: PASSWORD }, 'Send link')
  t.match(await ada.notice(), /open the link/)
  await ada.followMail(/Confirm your new e-mail address/)
  await ada.send({}, 'Use this address')
  t.match([await ada.notice(), await ada.page.textContent('.who')], [/address is changed/, 'countess@example.com'])

  clock.advance(16 * MINUTE)
  await ada.follow('Delete account')
  t.equal(await ada.heading(), 'Confirm that it is you', 'a session of long ago is not enough')
  await ada.send({ password: OTHER_PASSWORD }, 'Go on')
  t.equal(await ada.page.locator('#password-wrong').textContent(), 'Wrong password.')
  await ada.send({ password: PASSWORD }, 'Go on')
  t.equal(ada.path(), '/profile/delete')
  const exported = await ada.page.request.get('/profile/export')
  t.match([exported.headers()['content-disposition'], await exported.json()], ['attachment; filename="account.json"', { user: { email: 'countess@example.com' }, sessions: [{}] }])
  await ada.send({ email: EMAIL }, 'Delete account')
  t.match(await ada.page.locator('#email-wrong').textContent(), /not the address/)
  await ada.send({ email: 'Countess@example.com' }, 'Delete account')
  t.match([ada.path(), await ada.notice()], ['/login', /account is deleted/])
  await ada.signIn('countess@example.com')
  t.match(await ada.notice(), /Wrong name or password/)
  t.strictSame(site.problems, [])
})

t.test('in two browsers: sessions with their devices; one is ended, then all others, and they are out at once', async t => {
  const site = await startWeb(t, browser)
  const ada = await site.open()
  await ada.join(EMAIL)
  const others = await Promise.all(['Firefox/120.0', 'iPhone; CPU iPhone OS 17_0 like Mac OS X) Version/17.0 Mobile Safari/604.1', 'Firefox/121.0'].map(async agent => {
    const other = await site.open({ userAgent: `Mozilla/5.0 (Windows NT 10.0) ${agent}` })
    await other.go('/login?next=/profile')
    await other.signIn(EMAIL)
    t.equal(other.path(), '/profile', 'on to where they wanted to go')
    return other
  }))
  await ada.go('/sessions')
  const rows = ada.page.locator('.rows li')
  t.equal(await rows.count(), 4)
  t.match(await rows.filter({ hasText: 'this one' }).textContent(), /Chrome on Linux[^]*127\.0\.0\.1|::1/)
  await ada.send({}, 'End the session of Firefox on Windows')
  t.equal(await ada.notice(), 'That session has ended.')
  t.equal(await rows.count(), 3)
  await ada.send({}, 'Sign out everywhere else')
  t.strictSame([await ada.notice(), await rows.count()], ['You are signed out everywhere else.', 1])
  await others[0]!.go('/reset-password?token=x')
  t.equal(await others[0]!.heading(), 'Choose a new password', 'who forgot the password meanwhile gets to where the link leads')
  for (const other of others) {
    await other.go('/profile')
    t.match([other.path(), await other.notice()], ['/login', /Please sign in/])
    t.strictSame((await other.context.cookies()).map(({ name }) => name), ['accounts_device'])
    await other.page.close()
  }
  t.strictSame(site.problems, [])
})

t.test('by keyboard alone: over the navigation to what is there, into the form, and in', async t => {
  const site = await startWeb(t, browser)
  await site.app.accounts.users.create({ email: EMAIL, password: PASSWORD, emailVerified: true })
  const { page, ...ada } = await site.open()
  await ada.go('/login')
  const press = async (...keys: string[]) => { for (const key of keys) await page.keyboard.press(key) }
  await press('Tab')
  t.equal(await page.evaluate('document.activeElement.textContent'), 'Skip to content')
  await press('Enter', 'Tab')
  await page.keyboard.type(EMAIL)
  await press('Tab')
  await page.keyboard.type(PASSWORD)
  await press('Tab', 'Space', 'Tab', 'Enter')
  await page.waitForURL('**/')
  t.equal(await ada.heading(), `Hello, ${EMAIL}`)
  t.ok((await ada.context.cookies()).every(({ expires }) => expires === -1), 'the box was ticked, and is not any more')
})

t.test('S-I5 in a browser: tabs across an expired access token stay signed in; after signing out the back button shows nothing private', async t => {
  const site = await startWeb(t, browser)
  const ada = await site.open()
  await ada.join(EMAIL)
  const tabs = await Promise.all(Array.from({ length: 4 }, async () => await ada.context.newPage()))
  // As the browser does itself when the time of the cookie is over, by a clock that can't be moved.
  await ada.context.clearCookies({ name: 'accounts_access' })
  await Promise.all(tabs.map(async tab => await tab.goto('/sessions')))
  for (const tab of tabs) t.equal(await tab.textContent('.who'), EMAIL)
  t.equal(await tabs[0]!.locator('.rows li').count(), 1, 'in one session')

  t.equal((await ada.page.goto('/profile'))!.headers()['cache-control'], 'no-store')
  await ada.send({}, 'Sign out')
  await ada.page.goBack()
  await ada.page.waitForURL(/\/login/)
  t.notMatch(await ada.page.textContent('body'), EMAIL)
  for (const tab of tabs) {
    await tab.reload()
    t.match(tab.url(), '/login')
  }
  t.strictSame(site.problems, [])
})

t.test('X-03 a page of another origin can neither sign in nor out; a login leads nowhere else; guesses are counted', async t => {
  const site = await startWeb(t, browser)
  const ada = await site.open()
  await ada.join(EMAIL)
  const { app } = site
  const post = async (url: string, fields: Record<string, string>, headers: Record<string, string> = {}) => await app.inject({ method: 'POST', url, headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers }, payload: new URLSearchParams(fields).toString() })
  const cookie = (await ada.context.cookies()).map(({ name, value }) => `${name}=${value}`).join('; ')
  const elsewhere: Record<string, string> = { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' }
  for (const url of ['/login', '/logout', '/register', '/forgot-password', '/verify-email', '/owner', '/profile', '/profile/password', '/profile/delete', '/sessions/end-others', '/tokens']) {
    const answer = await post(url, { email: EMAIL, password: PASSWORD }, { ...elsewhere, cookie })
    t.equal(answer.statusCode, 403, url)
    t.equal(answer.cookies.filter(({ name }) => name.startsWith('accounts_')).length, 0)
  }
  t.match([(await app.inject({ url: '/profile', headers: { cookie } })).statusCode], [200])

  for (const next of ['https://evil.example/', '//evil.example', '/\\evil.example', '/.//evil.example', 'javascript:alert(1)', '\t//evil.example', '/tokens?x=1']) {
    const { headers } = await post('/login', { email: EMAIL, password: PASSWORD, next })
    t.equal(headers.location, next === '/tokens?x=1' ? next : '/', next)
  }
  t.equal((await post('/login', {})).statusCode, 401)
  t.equal((await app.inject({ method: 'POST', url: '/login' })).statusCode, 401)
  t.equal((await app.inject({ method: 'POST', url: '/login', headers: { 'content-type': 'application/x-www-form-urlencoded' }, payload: 'email=a&email=b&password=c&password=d' })).statusCode, 401)
  const statuses = []
  for (let guess = 0; guess < 6; guess++) statuses.push(await post('/login', { email: EMAIL, password: `guess ${guess} of a password` }))
  t.strictSame(statuses.map(({ statusCode }) => statusCode), [401, 401, 401, 401, 401, 429])
  t.match([statuses[5]!.headers['retry-after'], statuses[5]!.body], [/^(29|30)$/, /Too many attempts. Please try again in (29|30) seconds/])
})

t.test('it starts from nothing: it makes its secret and its database in its folder, keeps both, and says where it is', async t => {
  mkdirSync(join(ROOT, '.tap'), { recursive: true })
  const folder = mkdtempSync(join(ROOT, '.tap/web-'))
  t.teardown(() => { rmSync(folder, { recursive: true, force: true }) })
  cpSync(join(ROOT, 'examples/web'), folder, { recursive: true, filter: source => !/\.db|accounts-secret/.test(source) })
  const port = await freePort()
  const start = async () => {
    const server = spawn(process.execPath, [join(folder, 'server.js')], { env: { ...process.env, NODE_OPTIONS: '', PORT: String(port) }, stdio: ['ignore', 'pipe', 'inherit'] })
    let printed = ''
    for await (const chunk of server.stdout) {
      printed += (chunk as Buffer).toString()
      if (printed.includes('setup code')) break
    }
    const answers = await Promise.all(['/', '/openapi.json'].map(async path => {
      const answer = await fetch(`http://localhost:${port}${path}`)
      return { headers: answer.headers, text: await answer.text() }
    }))
    server.kill()
    await once(server, 'exit')
    return { printed, answers }
  }
  const { printed, answers: [page, document] } = await start()
  t.match(printed, `Open http://localhost:${port}\n`)
  const { paths } = JSON.parse(document!.text) as { paths: object }
  t.strictSame(['/auth/login', '/api/hello', '/login'].map(path => path in paths), [true, true, false])
  const policy = page!.headers.get('content-security-policy')!
  t.notMatch(policy, /unsafe|data:/)
  t.match(policy, /default-src 'none';script-src 'self';style-src 'self'/)
  t.equal(page!.headers.get('cache-control'), 'no-store')
  t.strictSame(['.accounts-secret', 'accounts.db'].map(name => statSync(join(folder, name)).mode & 0o777), [0o600, 0o600])
  const secret = readFileSync(join(folder, '.accounts-secret'), 'utf8')
  t.equal((await start()).printed, printed, 'with the same setup code, so with the same secret and database')
  t.equal(readFileSync(join(folder, '.accounts-secret'), 'utf8'), secret)
})

import axe from 'axe-core'
import t, { type Test } from 'tap'
import { PASSWORD } from './support/app.ts'
import { launch, shoot, startWeb, type WebSite, type WebVisitor } from './support/web.ts'

const browser = await launch(t)
const OWNER = 'olive@example.com'
const LEGACY = { username: 'admin', password: 'sesame 4711' }

async function claim (site: WebSite, visitor: WebVisitor): Promise<void> {
  await visitor.go('/owner')
  await visitor.send({ setupCode: (await site.app.accounts.owner.setupCode())!, email: OWNER, name: 'Olive', password: PASSWORD }, 'Become the owner')
}

t.test('in a browser: a personal token is made, shown once, copied, used, and revoked; bad input comes back with what was typed', async t => {
  const site = await startWeb(t, browser)
  const olive = await site.open({ permissions: ['clipboard-read', 'clipboard-write'] })
  const { page } = olive
  await claim(site, olive)
  await olive.go('/tokens')
  t.match(await page.textContent('.empty'), /No tokens yet/)
  await olive.follow('New token')
  t.strictSame(await page.locator('[name=methods]:checked').evaluateAll((boxes: Array<{ value: string }>) => boxes.map(({ value }) => value)), ['GET'])
  t.equal(await page.locator('[name=referrers]').isVisible(), false, 'what is for browsers shows for those alone')
  await page.getByLabel('Browser', { exact: true }).check()
  t.strictSame([await page.locator('[name=referrers]').isVisible(), await page.locator('[name=addresses]').isVisible()], [true, false])

  await page.getByLabel('Other', { exact: true }).check()
  await olive.send({ name: 'Portal', ownDays: '400', referrers: 'https://portal.example.org\nhttps://portal.example.org/page' }, 'Make token')
  t.match(await page.textContent('#ownDays-wrong, #referrers-wrong'), /Line 2, "https:\/\/portal\.example\.org\/page": write https:\/\/portal\.example\.org \(/)
  t.strictSame([await page.inputValue('#name'), await page.inputValue('#ownDays'), await page.isChecked('#context-browser')], ['Portal', '400', true])
  await olive.send({ referrers: 'https://portal.example.org' }, 'Make token')
  t.match(await page.textContent('#ownDays-wrong'), /take fewer days/)
  for (const ownDays of ['', '0', 'soon', '-1']) {
    await olive.send({ ownDays }, 'Make token')
    t.match(await page.textContent('#ownDays-wrong'), /number of days/, ownDays)
  }
  await page.getByLabel('GET').uncheck()
  await olive.send({ ownDays: '14' }, 'Make token')
  t.match(await page.textContent('#methods-wrong'), /one method/)
  await page.getByLabel('GET').check()
  await page.getByLabel('Server or script').check()
  await olive.send({ addresses: '127.0.0.1\n10.0.0.0/33' }, 'Make token')
  t.match(await page.textContent('#addresses-wrong'), /Line 2, "10\.0\.0\.0\/33"/)
  await olive.send({ addresses: '127.0.0.1\n\n  10.0.0.0/8  ' }, 'Make token')

  t.equal(await olive.heading(), 'Your new token')
  const token = (await page.textContent('#token'))!
  await page.getByRole('button', { name: 'Copy' }).click()
  await page.getByText('Copied.').waitFor()
  t.equal(await page.evaluate('navigator.clipboard.readText()'), token)
  const use = async (method: 'GET' | 'POST', remoteAddress: string) => (await site.app.inject({ method, url: '/api/hello', remoteAddress, headers: { authorization: `ApiToken ${token}` } })).statusCode
  t.strictSame([await use('GET', '127.0.0.1'), await use('GET', '10.1.2.3'), await use('GET', '192.0.2.1')], [200, 200, 401])

  await olive.follow('Done')
  const row = await page.textContent('.rows li')
  t.match(row, /Portal\s+server or script[^]*expires\s+in 14 days[^]*GET · only from 127\.0\.0\.1, 10\.0\.0\.0\/8/)
  t.notMatch(await page.content(), token, 'shown once')
  await olive.send({}, 'Revoke the token Portal')
  t.match(await olive.notice(), /is revoked/)
  t.equal(await use('GET', '127.0.0.1'), 401)
  t.strictSame(site.problems, [])
})

t.test('in a browser: the first owner, by the setup code or by the legacy credentials, once', async t => {
  const byCode = await startWeb(t, browser)
  const olive = await byCode.open()
  await olive.go('/')
  await olive.follow('Become the owner')
  await olive.send({ setupCode: 'AAAA-AAAA', email: OWNER, password: PASSWORD }, 'Become the owner')
  t.match(await olive.page.textContent('#setupCode-wrong'), /not the setup code/)
  t.equal(await olive.page.inputValue('#email'), OWNER)
  await claim(byCode, olive)
  t.match([await olive.notice(), await olive.heading()], [/installation is yours/, 'Hello, Olive'])
  await olive.go('/owner')
  t.match(await olive.page.textContent('main'), /There is an owner already/)

  const byLegacy = await startWeb(t, browser, { basic: { legacy: LEGACY } })
  const other = await byLegacy.open()
  await other.go('/owner')
  await other.send({ legacyName: 'admin', legacyPassword: 'guess', email: OWNER, password: PASSWORD }, 'Become the owner')
  t.match(await other.page.textContent('#legacyPassword-wrong'), /not the shared name and password/)
  await other.send({ legacyPassword: LEGACY.password, password: PASSWORD }, 'Become the owner')
  t.match(await other.notice(), /installation is yours/)
})

t.test('in a browser: an owner searches users, turns pages, sets roles, ends sessions, disables; nobody else gets there', async t => {
  const site = await startWeb(t, browser)
  const [olive, ada] = [await site.open(), await site.open()]
  const { page } = olive
  await claim(site, olive)
  for (let count = 1; count <= 30; count++) await site.app.accounts.users.create({ email: `user${count}@example.com` })
  await ada.join('ada@example.com', 'Ada')
  t.equal((await ada.page.goto('/users'))!.status(), 403)
  t.equal(await ada.page.getByRole('link', { name: 'Users' }).count(), 0)

  await olive.follow('Users')
  t.equal(await page.locator('.rows li').count(), 20)
  await olive.follow('Next page')
  t.equal(await page.locator('.rows li').count(), 12)
  await olive.send({ search: 'nobody at all' }, 'Search')
  t.match(await page.textContent('.empty'), /No address or name has “nobody at all” in it/)
  await olive.send({ search: 'ada@' }, 'Search')
  await olive.follow('Ada')
  await olive.send({ roles: 'Editor!' }, 'Save roles')
  t.match([await page.textContent('#roles-wrong'), await page.inputValue('#roles')], [/small letters/, 'Editor!'])
  await olive.send({ roles: 'editor, reader' }, 'Save roles')
  t.strictSame((await site.app.accounts.users.findByEmail('ada@example.com'))!.roles, ['editor', 'reader'])

  await olive.send({}, 'End all sessions')
  await ada.go('/profile')
  t.equal(ada.path(), '/login')
  await ada.signIn('ada@example.com')
  await olive.send({}, 'Disable account')
  await ada.go('/profile')
  t.equal(ada.path(), '/login')
  await ada.signIn('ada@example.com')
  t.match(await ada.notice(), /Wrong name or password/)
  await olive.send({}, 'Enable account')
  await ada.signIn('ada@example.com')
  t.equal(ada.path(), '/profile')

  await olive.go('/users?search=olive')
  await olive.follow('Olive')
  await olive.send({}, 'Disable account')
  t.match(await olive.notice(), /last active owner/)
  t.strictSame(site.problems, [])
})

t.test('every page, in light, dark and on a phone: nothing serious or critical of axe, nothing wider than the screen, nothing that the policy had to block', async t => {
  const site = await startWeb(t, browser)
  const olive = await site.open()
  const guest = await site.open()
  const pictures: Picture[] = [
    ['welcome', guest, async () => await guest.go('/')],
    ['register', guest, async () => await guest.go('/register')],
    ['register-wrong', guest, async () => { await guest.go('/register'); await guest.send({ email: 'eve@example.com', password: 'short' }, 'Create account') }],
    ['check-mail', guest, async () => { await guest.go('/register'); await guest.send({ email: 'eve@example.com', password: PASSWORD }, 'Create account') }],
    ['mails', guest, async () => await guest.go('/mails')],
    ['mail', guest, async () => { await guest.go('/mails/1') }],
    ['verify-email', guest, async () => await guest.followMail(/Confirm your e-mail address/)],
    ['verify-email-void', guest, async () => { await guest.go('/verify-email?token=x'); await guest.send({}, 'Confirm address') }],
    ['verify-again', guest, async () => await guest.go('/verify-email/again')],
    ['login', guest, async () => await guest.go('/login')],
    ['login-wrong', guest, async () => { await guest.go('/login'); await guest.signIn('ada@example.com', 'wrong') }],
    ['forgot-password', guest, async () => await guest.go('/forgot-password')],
    ['login-link-sent', guest, async () => { await guest.go('/forgot-password'); await guest.send({ email: 'nobody@example.com' }, 'Send link') }],
    ['reset-password', guest, async () => await guest.go('/reset-password?token=x')],
    ['owner-unclaimed', guest, async () => await guest.go('/owner')],
    ['not-found', guest, async () => await guest.go('/nowhere')],
    ['tokens-none', olive, async () => { await claim(site, olive); await olive.go('/tokens') }],
    ['owner', olive, async () => await olive.go('/owner')],
    ['home', olive, async () => await olive.go('/')],
    ['profile', olive, async () => await olive.go('/profile')],
    ['change-password', olive, async () => await olive.go('/profile/password')],
    ['change-email', olive, async () => await olive.go('/profile/email')],
    ['use-email', olive, async () => await olive.go('/change-email?token=x')],
    ['delete-account', olive, async () => await olive.go('/profile/delete')],
    ['confirm', olive, async () => await olive.go('/confirm')],
    ['sessions-one', olive, async () => await olive.go('/sessions')],
    ['sessions', olive, async () => {
      for (const userAgent of ['Mozilla/5.0 (Windows NT 10.0) Firefox/120.0', 'Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Version/17.0 Mobile Safari/604.1']) {
        await site.app.inject({ method: 'POST', url: '/auth/login', headers: { 'user-agent': userAgent }, remoteAddress: '203.0.113.7', payload: { email: OWNER, password: PASSWORD } })
      }
      await olive.go('/sessions')
    }],
    ['token-new', olive, async () => await olive.go('/tokens/new')],
    ['token-new-wrong', olive, async () => { await olive.go('/tokens/new'); await olive.page.getByLabel('Other', { exact: true }).check(); await olive.send({ name: 'Nightly', ownDays: '1000' }, 'Make token') }],
    ['token-created', olive, async () => { await olive.go('/tokens/new'); await olive.send({ name: 'Nightly report' }, 'Make token') }],
    ['tokens', olive, async () => {
      const { id } = (await site.app.accounts.users.findByEmail(OWNER))!
      await site.app.accounts.personalTokens.create(id, { name: 'Public portal', context: 'browser', allowedMethods: ['GET'], allowedReferrers: ['https://portal.example.org'] })
      await olive.go('/tokens')
    }],
    ['users', olive, async () => {
      const found = await site.app.accounts.users.findByEmail('grace@example.com')
      if (found === null) {
        await site.app.accounts.users.create({ email: 'grace@example.com', name: 'Grace Hopper', roles: ['editor'], emailVerified: true })
        const { id } = await site.app.accounts.users.create({ email: 'mallory@example.com', name: 'Mallory' })
        await site.app.accounts.users.update(id, { disabled: true })
      }
      await olive.go('/users')
    }],
    ['users-none', olive, async () => await olive.go('/users?search=nobody')],
    ['user', olive, async () => { await olive.go('/users?search=grace'); await olive.follow('Grace') }]
  ]
  for (const picture of pictures) await look(t, picture)
  t.strictSame(site.problems, [])
})

type Picture = readonly [name: string, visitor: WebVisitor, open: () => Promise<void>]

async function look (t: Test, [name, { page }, open]: Picture): Promise<void> {
  await page.setViewportSize({ width: 1200, height: 800 })
  await open()
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme })
    await shoot(page, `${name}-${colorScheme}`)
    t.strictSame(await findFaults(page, colorScheme === 'light' ? null : ['color-contrast']), [], `${name}, ${colorScheme}`)
  }
  await page.emulateMedia({ colorScheme: 'light' })
  await page.setViewportSize({ width: 320, height: 640 })
  await shoot(page, `${name}-narrow`)
  t.ok(await page.evaluate('document.documentElement.scrollWidth <= 320'), `${name}, narrow`)
}

/** Run by the debugger, which no policy holds up: nothing is added to the page. */
async function findFaults (page: WebVisitor['page'], rules: readonly string[] | null): Promise<string[]> {
  if (await page.evaluate('typeof axe') === 'undefined') await page.evaluate(axe.source)
  return await page.evaluate(`axe.run(${JSON.stringify({ resultTypes: ['violations'], ...(rules === null ? {} : { runOnly: rules }) })}).then(({ violations }) => violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .flatMap(({ id, nodes }) => nodes.map(({ html, any }) => id + ': ' + html + ' ' + any.map(({ message }) => message).join(' '))))`)
}

import type { LightMyRequestResponse } from 'fastify'
import t from 'tap'
import { createPeopleApp } from './support/people.ts'

const cursorOf = (value: unknown) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
const NOW = Date.parse('2026-06-01T12:00:00Z')

const QUERIES: Readonly<Record<string, number>> = {
  '': 200,
  '?': 200,
  '?limit=1': 200,
  '?limit=100&search=a': 200,
  '?search=': 200,
  '?search': 200,
  '?search=+%20+': 200,
  '?search=%25_%5C%27%22%3B--': 200,
  '?search=%F0%9F%92%A9&limit=2': 200,
  [`?search=${'a'.repeat(254)}`]: 200,
  [`?cursor=${cursorOf([NOW, 'x'])}`]: 200,
  [`?cursor=${cursorOf([NOW, "' or 1=1 --"])}`]: 200,
  [`?cursor=${cursorOf([Date.parse('9999-12-31T23:59:59.999Z'), 'é€💩'])}`]: 200,
  '?limit=0': 400,
  '?limit=101': 400,
  '?limit=-1': 400,
  '?limit=1.5': 400,
  '?limit=1e1': 400,
  '?limit=0x10': 400,
  '?limit=abc': 400,
  '?limit=': 400,
  '?limit=+1': 400,
  '?limit=%201': 400,
  '?limit=99999999999999999999': 400,
  '?limit=Infinity': 400,
  '?limit=null': 400,
  '?limit=true': 400,
  '?limit=1&limit=1': 400,
  '?limit=1&limit=2': 400,
  '?limit=1&%6Cimit=2': 400,
  '?limit[]=1': 400,
  '?limit[a]=1': 400,
  '?search=a&search=b': 400,
  '?search[]=a': 400,
  '?search=%00': 400,
  '?search=a%0Ab': 400,
  '?search=%7F': 400,
  '?search=%ff': 400,
  '?search=%E2%82': 400,
  '?search=%ED%A0%80': 400,
  '?search=%zz': 400,
  '?search=%': 400,
  '?%zz=1': 400,
  [`?search=${'a'.repeat(255)}`]: 400,
  [`?search=${'a'.repeat(5000)}`]: 400,
  '?page=1': 400,
  '?Limit=1': 400,
  '?offset=0': 400,
  '?__proto__=1': 400,
  '?__proto__[limit]=1': 400,
  '?constructor=1': 400,
  '?toString': 400,
  '?&': 400,
  '?limit=1&': 400,
  '?=': 400,
  '?limit=1;search=a': 400,
  '?cursor=': 400,
  '?cursor=x': 400,
  '?cursor=null': 400,
  '?cursor=%00': 400,
  [`?cursor=${'a'.repeat(5000)}`]: 400,
  [`?cursor=${cursorOf([NOW, 'x'])}%3D`]: 400,
  [`?cursor=${cursorOf([NOW, 'x'])}.`]: 400,
  [`?cursor=${Buffer.from('[1, "x"]').toString('base64url')}`]: 400
}
for (const value of ['', '{}', '[', 'null', '1', [], [NOW], [NOW, null], [NOW, ''], [NOW, 1], ['1', 'x'], [null, 'x'], [NOW, 'x', 1], [NOW, ['x']], [0.5, 'x'], [8.64e15, 'x'], [-1e14, 'x'], '[1e999,"x"]', [NOW, 'a\0b'], [NOW, '\ud800'], [NOW, 'x'.repeat(256)], { 0: NOW, 1: 'x', length: 2 }]) {
  (QUERIES as Record<string, number>)[`?cursor=${cursorOf(value)}`] = 400
}

t.test('I-01 a query is read as strictly as a body: nothing unknown, nothing twice, nothing made to fit', async t => {
  const { person, client } = await createPeopleApp(t)
  const { browser } = await person(['owner'])
  for (const [query, statusCode] of Object.entries(QUERIES)) {
    const answer = await browser.get(`/auth/users${query}`)
    t.equal(answer.statusCode, statusCode, query.slice(0, 80))
    if (statusCode === 400) t.match(answer.json(), { code: 'FST_ACCOUNTS_INPUT_INVALID', message: /^(query|search|cursor) ?/ }, query.slice(0, 80))
    t.notMatch(answer.body, /zz|proto|page=|offset/, 'it says nothing of what stood there')
    t.equal((await client().get(`/auth/users${query}`)).statusCode, 401, 'nobody learns more than that they have to sign in')
  }
})

t.test('I-01 a query is ours to read: a parser and a validator of the host\'s own see nothing of it', async t => {
  const { person } = await createPeopleApp(t, {}, app => {
    app.setValidatorCompiler(() => () => ({ value: { limit: 1 } }))
  })
  const { browser } = await person(['owner'])
  await person()
  t.equal((await browser.get('/auth/users')).json().users.length, 2)
  t.equal((await browser.get('/auth/users?limit=1')).json().users.length, 1)
  t.equal((await browser.get('/auth/users?limit=0')).statusCode, 400)
})

const ROLES = ['a', 'editor', 'billing:read', 'a.b_c-d:e', 'x'.repeat(64)]
const BODIES: ReadonlyArray<readonly [unknown, number]> = [
  [{ roles: ROLES }, 200],
  [{ roles: [] }, 200],
  [{ roles: Array.from({ length: 32 }, (_, index) => `role${index}`) }, 200],
  [{ disabled: false }, 200],
  [{}, 400],
  [[], 400],
  ['null', 400],
  ['true', 400],
  ['"disabled"', 400],
  ['', 400],
  ['{', 400],
  ['{"disabled":true,"disabled":false}', 400],
  ['{"disabled":false,"__proto__":{"roles":["owner"]}}', 400],
  [{ disabled: 'true' }, 400],
  [{ disabled: 1 }, 400],
  [{ disabled: null }, 400],
  [{ disabled: [true] }, 400],
  [{ roles: 'editor' }, 400],
  [{ roles: null }, 400],
  [{ roles: { 0: 'editor' } }, 400],
  [{ roles: [1] }, 400],
  [{ roles: [null] }, 400],
  [{ roles: [['editor']] }, 400],
  [{ roles: Array.from({ length: 65 }, (_, index) => `role${index}`) }, 400],
  [{ roles: ['x'.repeat(129)] }, 400],
  [{ name: 'Ada' }, 400],
  [{ disabled: false, name: 'Ada' }, 400],
  [{ disabled: false, email: 'mallory@example.com' }, 400],
  [{ disabled: false, epoch: 0 }, 400],
  [{ disabled: false, passwordDigest: null }, 400],
  [{ disabled: false, id: 'x' }, 400],
  [{ constructor: 1 }, 400],
  [{ roles: Array.from({ length: 33 }, (_, index) => `role${index}`) }, 422],
  ...['', ' ', 'Owner', 'OWNER', ' owner', 'owner ', 'ow ner', 'owner\0', 'owner\n', 'öwner', 'оwner', '1', ':a', '-a', '%', '"', '__proto__', 'a,b', '\ud800', 'x'.repeat(65)].map(role => [{ roles: [role] }, 422] as const),
  [{ roles: ['editor', 'editor'] }, 422],
  [{ disabled: true, roles: ['Editor'] }, 422]
]

t.test('I-01 a body is what it has to be, or nothing is changed; of no body comes a 5xx', async t => {
  const { person, find } = await createPeopleApp(t)
  const [owner, { id }] = [await person(['owner']), await person(['editor'])]
  for (const [body, statusCode] of BODIES) {
    await owner.browser.request('PATCH', `/auth/users/${id}`, { roles: ['editor'] })
    const before = await find(id)
    const answer = await owner.browser.request('PATCH', `/auth/users/${id}`, body, { 'content-type': 'application/json' })
    const title = JSON.stringify(body).slice(0, 80)
    t.equal(answer.statusCode, statusCode, title)
    if (statusCode === 200) t.strictSame(answer.json().user.roles, (body as { roles?: string[] }).roles ?? ['editor'])
    else t.strictSame(await find(id), before, 'nothing has changed')
    if (statusCode === 422) t.equal(answer.json().code, 'FST_ACCOUNTS_ROLE_INVALID')
  }
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/merge-patch+json']) {
    t.equal((await owner.browser.request('PATCH', `/auth/users/${id}`, '{"disabled":true}', { 'content-type': type })).statusCode, 415)
  }
  t.equal((await owner.browser.request('PATCH', `/auth/users/${id}`, { roles: ['x'.repeat(17_000)] })).statusCode, 413)
})

t.test('I-01 an id in a path is looked up as it is, or is nobody\'s', async t => {
  const { person, storage, app } = await createPeopleApp(t)
  const [owner, user] = [await person(['owner']), await person()]
  const acts: Array<(id: string) => Promise<LightMyRequestResponse>> = [
    async id => await owner.browser.request('PATCH', `/auth/users/${id}`, { disabled: true }),
    async id => await owner.browser.request('DELETE', `/auth/users/${id}/sessions`)
  ]
  const ids = ['%00', 'a%00b', '..%2f..', '*', '%25', '_', '%27%20or%201%3D1%20--', '__proto__', 'constructor', 'null', 'undefined', '%F0%9F%92%A9', `${user.id}%00`, `${user.id}%20`, `%20${user.id}`, user.id.slice(1), 'x'.repeat(90), '%C3%A9'.repeat(40), '%ff', '%zz', '%']
  for (const id of ids) {
    for (const act of acts) {
      const { statusCode } = await act(id)
      t.equal(statusCode, id === '%ff' || id === '%zz' || id === '%' ? 400 : 404, id.slice(0, 60))
    }
  }
  for (const act of acts) t.equal((await act('x'.repeat(300))).statusCode, 414, 'Fastify\'s own bound')
  t.equal((await user.browser.get('/private')).statusCode, 200)

  // A users table of the host's own may have ids of any shape.
  for (const [index, id] of ['7', 'a b', 'ada@example.com', 'ä/ö?#%', '../x', '__proto__', 'x'.repeat(100)].entries()) {
    await storage.users.create({ id, email: `own${index}@example.com`, emailKey: `own${index}@example.com`, username: null, usernameKey: null, name: null, roles: [], passwordDigest: null, emailVerified: false, createdAt: new Date() })
    t.equal((await acts[0]!(encodeURIComponent(id))).statusCode, 200, id.slice(0, 60))
    t.equal((await acts[1]!(encodeURIComponent(id))).statusCode, 204)
    t.equal((await app.accounts.users.find(id))?.disabled, true)
  }
})

t.test('the list finds parts of addresses, user names and names, as they are written', async t => {
  const { app, person } = await createPeopleApp(t)
  const { browser } = await person(['owner'])
  const people = [['grace@example.com', 'hopper_1', '100% Grace'], ['edsger@example.org', 'ewd.1', 'Edsger\\Dijkstra'], ['zoe@example.net', 'zoe', 'Zoë "O\'Hara" 💩'], ['bücher@example.com', 'books', '数学']] as const
  for (const [email, username, name] of people) await app.accounts.users.create({ email, username, name })
  const found = async (search: string) => {
    const answer = await browser.get(`/auth/users?${new URLSearchParams({ search }).toString()}`)
    t.equal(answer.statusCode, 200, search)
    return (answer.json().users as Array<{ email: string }>).map(({ email }) => email.split('@')[0]).sort()
  }
  for (const [search, expected] of [
    ['GRACE', ['grace']], ['hopper_', ['grace']], ['%', ['grace']], ['_', ['grace']], ['\\', ['edsger']], ['ewd.1', ['edsger']],
    ['  zoe ', ['zoe']], ['Zoë', ['zoe']], ['Zoe\u0308', ['zoe']], ['"o\'hara"', ['zoe']], ['💩', ['zoe']], ['数', ['bücher']], ['bücher@', ['bücher']],
    ['example.com', ['bücher', 'grace', 'person1']], ['nobody', []], ['%%', []], ['*', []], ["' or '1'='1", []], ['grace@example.com', ['grace']], ['.', ['bücher', 'edsger', 'grace', 'person1', 'zoe']]
  ] as const) t.strictSame(await found(search), expected, search)
  t.equal((await browser.get('/auth/users?search=example.com&limit=2')).json().users.length, 2)
})

t.test('the list shows what a user is, newest first, and nothing that is secret', async t => {
  const { app, person } = await createPeopleApp(t)
  const { browser } = await person(['owner'])
  const { id } = await app.accounts.users.create({ email: 'ada@example.com', password: 'violet harbor 92 lantern', name: 'Ada' })
  const answer = await browser.get('/auth/users')
  t.match(answer.headers, { 'cache-control': 'no-store', vary: /cookie/i, 'content-type': /^application\/json/ })
  const { users, next } = answer.json()
  t.equal(next, null)
  t.strictSame(users[0], { id, email: 'ada@example.com', emailVerified: false, username: null, name: 'Ada', roles: [], disabled: false, createdAt: users[0].createdAt })
  t.notMatch(answer.body, /argon2|epoch|digest/i)
})

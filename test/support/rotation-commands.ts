import { deepStrictEqual, ok } from 'node:assert'
import fc from 'fast-check'
import { OTHER_PASSWORD, PASSWORD } from './app.ts'
import { apply, expectGuard, expectTrade, noteAccess, read, WINDOW_MS, type Expectation, type Jar, type Outcome, type Sessions } from './rotation-model.ts'
import { END_MS, IDLE_MS, type Answer, type World } from './rotation-world.ts'

interface User { id: string, readonly email: string, password: string, isDisabled: boolean, isDeleted: boolean }
interface Browser { readonly jar: Jar, readonly user: User, readonly isThief: boolean }
interface Pending { readonly browser: Browser, readonly set: Jar, readonly sentAt: number }

/** What a run knows: who there is, what they hold, what is on its way, and what the specification says of it. */
export interface Model {
  readonly users: readonly User[]
  readonly browsers: Browser[]
  pending: Pending[]
  readonly sessions: Sessions
  /** How often each thing came to pass, over all runs: what never does has not been tested. */
  readonly tally: Tally
}

export type Tally = Record<string, number>

type Command = fc.AsyncCommand<Model, World>
type Delivery = 'now' | 'later' | 'never'

/** Time that any act takes: what one server has ended the other knows of by then. */
const ACT_MS = 25
const THIEVES = 2

let runs = 0

/** Two browsers of one user and one of another, all signed in. */
export async function begin (world: World, tally: Tally): Promise<Model> {
  runs++
  const users = ['ada', 'mallory'].map(name => ({ id: '', email: `${name}${runs}@example.com`, password: PASSWORD, isDisabled: false, isDeleted: false }))
  const browsers = [0, 0, 1].map(index => ({ jar: {}, user: users[index]!, isThief: false }))
  const model: Model = { users, browsers, pending: [], sessions: new Map(), tally }
  for (const { jar, user } of [browsers[0]!, browsers[2]!]) {
    const { set } = await world.send(0, 'POST', '/auth/register', {}, { email: user.email, password: user.password })
    user.id = read(set.refresh)!.sub
    open(model, world, set)
    Object.assign(jar, set)
  }
  await signIn(model, world, browsers[1]!, 1)
  return model
}

interface Duty {
  readonly title: string
  check? (model: Readonly<Model>): boolean
  run (model: Model, world: World): Promise<void>
}

const command = ({ title, check = () => true, run }: Duty): Command => ({
  check,
  toString: () => title,
  async run (model, world) {
    count(model, title.replace(/\(.*/, ''))
    await run(model, world)
  }
})

const count = ({ tally }: Model, name: string) => { tally[name] = (tally[name] ?? 0) + 1 }

const nameOf = ({ browsers }: Model, browser: Browser) => `${browser.isThief ? 'thief' : 'browser'} ${browsers.indexOf(browser)}`

function endSessions ({ sessions }: Model, isEnding: (sid: string, userId: string) => boolean): void {
  for (const [sid, session] of sessions) { if (isEnding(sid, session.userId)) session.isOver = true }
}

const presentedBy = ({ access, refresh }: Jar) => [read(access)?.sid, read(refresh)?.sid]

function open ({ sessions }: Model, world: World, set: Jar): void {
  const { sid, sub } = read(set.refresh)!
  ok(!sessions.has(sid), 'S-I12 a new session has a new id')
  const time = world.now()
  sessions.set(sid, { userId: sub, generation: 0, rotatedAt: time, proved: 0, known: 0, idleEnd: time + IDLE_MS, end: time + END_MS, isOver: false, isStolen: false })
}

async function signIn (model: Model, world: World, browser: Browser, server: number): Promise<void> {
  const { user, jar } = browser
  const { status, set } = await world.send(server, 'POST', '/auth/login', jar, { email: user.email, password: user.password })
  deepStrictEqual(status, user.isDisabled || user.isDeleted ? 401 : 200, 'a login')
  if (status !== 200) return
  const replaced = presentedBy(jar)
  endSessions(model, (sid, userId) => replaced.includes(sid) && userId !== '')
  open(model, world, set)
  Object.assign(jar, set)
}

/** Check one answer against what was expected, and note what it means. */
function settle (model: Model, world: World, browser: Browser, expected: Expectation, answer: Answer, success: number): boolean {
  const { jar } = browser
  if (expected.by === 'nothing') {
    deepStrictEqual([answer.status, answer.set], [401, {}], 'nothing to show')
    return false
  }
  if (expected.by === 'access') {
    deepStrictEqual([answer.status, answer.outcome], [success, null], 'a live access token is let in')
    noteAccess(model.sessions, jar)
    return true
  }
  const { sid, token, outcomes } = expected
  const session = model.sessions.get(sid)
  const seen: Outcome = answer.status === 401 ? outcomes.find(outcome => outcome === 'alarm' || outcome === 'refused') ?? 'refused' : answer.outcome as Outcome
  count(model, seen)
  ok(outcomes.includes(seen), `${nameOf(model, browser)}, generation ${token.gen} of ${session?.generation}: ${seen} instead of ${outcomes.join(' or ')}`)
  if (seen === 'refused' || seen === 'alarm') {
    deepStrictEqual(answer.set, {}, 'a refusal sets nothing')
    if (seen === 'alarm') ok(session!.isStolen, 'S-I5 no alarm without a thief')
    if (session !== undefined) apply(session, seen, token, world.now(), IDLE_MS)
    return false
  }
  deepStrictEqual(answer.status, success)
  apply(session!, seen, token, world.now(), IDLE_MS)
  const generations = { access: read(answer.set.access)?.gen, refresh: read(answer.set.refresh)?.gen }
  const { generation } = session!
  deepStrictEqual(generations, seen === 'window' ? { access: token.gen, refresh: undefined } : { access: generation, refresh: generation }, 'S-I2 one successor')
  return true
}

function deliver (model: Model, world: World, browser: Browser, set: Jar, delivery: Delivery): void {
  if (delivery === 'now') Object.assign(browser.jar, set)
  if (delivery === 'later') model.pending.push({ browser, set, sentAt: world.now() })
}

/** Requests of several tabs at once, at both servers: with the same cookies, whose answers come when they come. */
const requests = (who: number, url: '/private' | '/auth/refresh', first: number, deliveries: readonly Delivery[]): Command => command({
  title: `request(${who}, ${url}, server ${first}, ${deliveries.join(' ')})`,
  async run (model, world) {
    await world.advance(ACT_MS)
    const browser = model.browsers[who % model.browsers.length]!
    const jar = { ...browser.jar }
    const expect = () => (url === '/private' ? expectGuard : expectTrade)(model.sessions, jar, world.now())
    const expected = expect()
    const isOpen = expected.by === 'refresh' && expected.outcomes.length > 1
    const answers = await Promise.all(deliveries.slice(0, isOpen ? 1 : undefined).map(async (delivery, index) => ({
      delivery, answer: await world.send((first + index) % 2, url === '/private' ? 'GET' : 'POST', url, jar)
    })))
    // Of those that came together one traded; the others found the session as it has left it.
    answers.sort((a, b) => Number(b.answer.outcome !== 'window') - Number(a.answer.outcome !== 'window'))
    for (const { answer } of answers) settle(model, world, { ...browser, jar }, expect(), answer, 200)
    for (const { answer, delivery } of answers) deliver(model, world, browser, answer.set, delivery)
  }
})

const deliverOne = (which: number): Command => command({
  title: `deliver(${which})`,
  check: ({ pending }) => pending.length > 0,
  async run (model) {
    const [{ browser, set }] = model.pending.splice(which % model.pending.length, 1) as [Pending]
    Object.assign(browser.jar, set)
  }
})

const advance = (seconds: number): Command => command({
  title: `advance(${seconds} s)`,
  async run (model, world) {
    await world.advance(seconds * 1000)
    // No answer is on its way for longer than the window.
    model.pending = model.pending.filter(({ sentAt }) => world.now() - sentAt < WINDOW_MS)
  }
})

const logIn = (who: number, server: number): Command => command({
  title: `login(${who})`,
  async run (model, world) {
    await world.advance(ACT_MS)
    const browser = model.browsers[who % model.browsers.length]!
    if (!browser.isThief) await signIn(model, world, browser, server)
  }
})

/** What only a caller may do who is let in. */
const act = (who: number, server: number, deed: 'logout' | 'end others' | 'change password'): Command => command({
  title: `${deed}(${who}, server ${server})`,
  async run (model, world) {
    await world.advance(ACT_MS)
    const browser = model.browsers[who % model.browsers.length]!
    if (deed === 'logout') return await logOut(model, world, browser, server)
    if (deed === 'change password' && browser.isThief) return
    const expected = expectGuard(model.sessions, browser.jar, world.now())
    const { user, jar } = browser
    const other = user.password === PASSWORD ? OTHER_PASSWORD : PASSWORD
    const answer = deed === 'end others'
      ? await world.send(server, 'DELETE', '/auth/sessions', jar)
      : await world.send(server, 'POST', '/auth/password/change', jar, { currentPassword: user.password, newPassword: other })
    if (deed === 'end others') {
      if (settle(model, world, browser, expected, answer, 204)) endSessions(model, (sid, userId) => userId === user.id && sid !== (expected as { sid: string }).sid)
      Object.assign(jar, answer.set)
      return
    }
    // A renewal on the way and the new session are in one answer: the latter is what counts.
    deepStrictEqual(answer.status, expected.by === 'access' || (expected.by === 'refresh' && answer.outcome !== null) ? 204 : 401)
    if (answer.status !== 204) {
      settle(model, world, browser, expected, answer, 204)
      return
    }
    if (expected.by === 'access') noteAccess(model.sessions, jar)
    if (expected.by === 'refresh') apply(model.sessions.get(expected.sid)!, answer.outcome as Outcome, expected.token, world.now(), IDLE_MS)
    user.password = other
    endSessions(model, (_sid, userId) => userId === user.id)
    open(model, world, answer.set)
    Object.assign(jar, answer.set)
  }
})

async function logOut (model: Model, world: World, browser: Browser, server: number): Promise<void> {
  const answer = await world.send(server, 'POST', '/auth/logout', browser.jar)
  deepStrictEqual([answer.status, answer.isClearing], [204, true])
  const presented = presentedBy(browser.jar)
  endSessions(model, sid => presented.includes(sid))
  delete browser.jar.access
  delete browser.jar.refresh
}

const administer = (who: number, server: number, deed: 'disable' | 'enable' | 'delete'): Command => command({
  title: `${deed}(user ${who})`,
  async run (model, world) {
    await world.advance(ACT_MS)
    const user = model.users[who % model.users.length]!
    const { users } = world.servers[server]!.app.accounts
    if (deed === 'delete') {
      deepStrictEqual(await users.delete(user.id), !user.isDeleted)
      user.isDeleted = true
    } else {
      deepStrictEqual((await users.update(user.id, { disabled: deed === 'disable' })) !== null, !user.isDeleted)
      user.isDisabled = deed === 'disable'
    }
    if (deed !== 'enable') endSessions(model, (_sid, userId) => userId === user.id)
  }
})

const restart = (server: number, isCrash: boolean): Command => command({
  title: `${isCrash ? 'crash' : 'restart'}(${server})`,
  async run ({ sessions }, world) {
    await world.restart(server, isCrash)
    if (!isCrash) return
    const stored = world.sql.prepare('SELECT acknowledged_generation FROM accounts_sessions WHERE id = ?').pluck()
    for (const [sid, session] of sessions) session.known = Math.min(session.known, Number(stored.get(sid) ?? 0))
  }
})

const steal = (who: number): Command => command({
  title: `steal(${who})`,
  check: ({ browsers }) => browsers.filter(({ isThief }) => isThief).length < THIEVES,
  async run (model) {
    const { jar, user } = model.browsers[who % model.browsers.length]!
    model.browsers.push({ jar: { ...jar }, user, isThief: true })
    for (const sid of presentedBy(jar)) { if (sid !== undefined) model.sessions.get(sid)!.isStolen = true }
  }
})

const SECONDS = [1, 4, 9, 11, 19, 28, 31, 45, 600, 3400, 3601, 3601, 3601, 7200, 86_400]
const DAYS = [3, 10, 29, 31]
const delivery = fc.constantFrom<Delivery>('now', 'now', 'now', 'later', 'never')
const anybody = fc.nat(4)
const server = fc.nat(1)

/** Every command, the everyday ones more often. `withThief`: somebody copies cookies. */
export function commands (withThief: boolean): Array<fc.Arbitrary<Command>> {
  const request = fc.tuple(anybody, fc.constantFrom<'/private' | '/auth/refresh'>('/private', '/private', '/auth/refresh'), server, fc.array(delivery, { minLength: 1, maxLength: 4 })).map(args => requests(...args))
  const later = fc.constantFrom(...SECONDS).map(advance)
  const shortly = fc.constantFrom(...SECONDS.slice(0, 8)).map(advance)
  return [
    ...Array.from({ length: 16 }, () => request), later, later, later, later, fc.constantFrom(...DAYS).map(days => advance(days * 86_400)), shortly, shortly, shortly, shortly,
    fc.nat(9).map(deliverOne),
    fc.tuple(anybody, server).map(args => logIn(...args)),
    fc.tuple(anybody, server, fc.constantFrom<'logout' | 'end others' | 'change password'>('logout', 'end others', 'change password')).map(args => act(...args)),
    fc.tuple(fc.nat(1), server, fc.constantFrom<'disable' | 'enable' | 'delete'>('disable', 'enable', 'enable', 'enable', 'enable', 'delete')).map(args => administer(...args)),
    fc.tuple(server, fc.boolean()).map(args => restart(...args)),
    ...(withThief ? [fc.nat(2).map(steal), request] : [])
  ]
}

/** What must hold when all is said and done. */
export async function conclude (model: Model, world: World): Promise<void> {
  const find = world.sql.prepare('SELECT generation, revoked_at FROM accounts_sessions WHERE id = ?')
  for (const [sid, session] of model.sessions) {
    const row = find.get(sid) as { generation: number, revoked_at: number | null } | undefined
    if (row === undefined) ok(session.isOver, 'S-I7 nothing is lost')
    else deepStrictEqual(row.generation, session.generation, 'S-I3 one line of generations')
    if (session.isOver && row !== undefined) ok(row.revoked_at !== null, 'S-I6 what is over is revoked')
  }
  await catchThieves(model, world)
}

/** Let all go on as browsers do; whoever shares a session with a thief is found out once both have. */
async function catchThieves (model: Model, world: World): Promise<void> {
  model.pending = []
  for (let round = 0; round < 3; round++) {
    for (const who of model.browsers.keys()) {
      for (const server of [0, 1]) await requests(who, '/private', server, ['now']).run(model, world)
      await world.advance(3_700_000)
    }
  }
  const holders = new Map<string, Set<boolean>>()
  for (const { jar, isThief } of model.browsers) {
    const token = read(jar.refresh)
    if (token === null || world.now() >= token.exp * 1000) continue
    holders.set(token.sid, (holders.get(token.sid) ?? new Set()).add(isThief))
  }
  for (const [sid, kinds] of holders) { if (kinds.size === 2) ok(model.sessions.get(sid)!.isOver, 'R-03 the thief is found') }
}

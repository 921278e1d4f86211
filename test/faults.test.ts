import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { ELSEWHERE } from './faults/elsewhere.js'
import { checkHistory } from './faults/history.js'
import { ROOT } from './support/root.ts'

interface Result { readonly id: string, readonly title: string, readonly setup: string, readonly figure: Readonly<Record<string, number>>, readonly faults: readonly string[] }

/** What no other test shows; `npm run test:faults` has all of them, and thirty rounds of each. */
const SHOWN = ['Redis is slow', 'Redis fails over to an old copy', 'Redis is read-only', 'Redis is loading', 'a clock jumps by an hour, and back']

t.test('F-03 F-06 F-09 F-25 while stores and clocks fail nobody is logged out, nothing is lost, and what has ended stays so', async t => {
  const { stdout } = await promisify(execFile)(process.execPath, [join(import.meta.dirname, 'soak', 'faults.js'), '--rounds', '1', '--clients', '6', '--sessions', 'redis', '--only', SHOWN.join(','), '--json'], { env: { ...process.env, NODE_OPTIONS: '' } })
    // It fails if anything is not as it should be, and has said what.
    .catch((error: { stdout: string }) => error)
  const results = JSON.parse(stdout) as Result[]
  t.strictSame(results.map(({ title }) => title), SHOWN)
  for (const { title, figure, faults } of results) {
    t.strictSame(faults, [], title)
    t.match(figure, { falseLogouts: 0, lost: 0, resurrected: 0, forks: 0, wrongfulKills: 0, stranded: 0, doubleExecutions: 0, hung: 0 }, title)
    t.ok(figure.requests! > 10, `${title}: ${figure.requests} requests`)
  }
})

const entry = (op: 'login' | 'logout' | 'enter' | 'refresh' | 'rename' | 'found' | 'executed' | 'returned', t0: number, result: string | number, more: object = {}) => ({ t0, t1: t0 + 10, client: 'ada', op, token: 's1', result, ...more })
const decided = (name: string) => ({ at: 0, name, sessionId: 's1' })

const CLEAN = [
  entry('login', 0, 'ok'), entry('enter', 20, 'ok'), entry('enter', 40, 'unavailable'), entry('rename', 60, 'ok', { value: 'one' }), entry('rename', 80, 'unavailable', { value: 'two' }),
  entry('refresh', 100, 'ok'), entry('executed', 120, 1), entry('returned', 140, 'ok'), entry('logout', 200, 'unavailable'), entry('enter', 220, 'refused'), entry('logout', 240, 'ok'),
  entry('enter', 260, 'ok'), entry('refresh', 1300, 'refused'), entry('found', 1400, 'ok', { value: 'two' })
]
const DECISIONS = [decided('session.rotated'), decided('session.window'), decided('session.revoked')]
const GENERATIONS = new Map([['s1', 1]])

t.test('the checker finds nothing where nothing is wrong', async t => {
  const { loggedOut: _, ...counts } = checkHistory(CLEAN, { decisions: DECISIONS, generations: GENERATIONS })
  t.strictSame(Object.entries(counts).filter(([, count]) => count !== 0), [])
})

const WRONG: Readonly<Record<string, { readonly history?: Parameters<typeof checkHistory>[0], readonly decisions?: Array<ReturnType<typeof decided>>, readonly counted: string }>> = {
  'a session is refused though nobody has ended it': { history: [entry('enter', 150, 'refused')], counted: 'falseLogouts' },
  'a client is told to forget its cookies': { history: [entry('refresh', 150, 'cleared')], counted: 'falseLogouts' },
  'a name that was acknowledged is gone': { history: [entry('found', 1500, 'ok', { value: 'zero' })], counted: 'lost' },
  'a right password is refused': { history: [entry('login', 1500, 'refused')], counted: 'lost' },
  'a session lets in after its acknowledged end, on every server': { history: [entry('enter', 1300, 'ok')], counted: 'resurrected' },
  'a session that has ended is renewed': { history: [entry('refresh', 1300, 'ok')], counted: 'resurrected' },
  'one generation is rotated twice': { decisions: [decided('session.rotated')], counted: 'forks' },
  'a client is taken for a thief': { decisions: [decided('session.reused')], counted: 'wrongfulKills' },
  'a client is not let in again': { history: [entry('returned', 160, 'not')], counted: 'stranded' },
  'something is done twice': { history: [entry('executed', 160, 2)], counted: 'doubleExecutions' },
  'a request is not answered': { history: [entry('enter', 160, 'silent')], counted: 'hung' }
}

for (const [title, { history = [], decisions = [], counted }] of Object.entries(WRONG)) {
  t.test(`the checker finds it when ${title}`, async t => {
    const { loggedOut: _, ...counts } = checkHistory([...CLEAN, ...history], { decisions: [...DECISIONS, ...decisions], generations: GENERATIONS })
    t.strictSame(Object.entries(counts).filter(([, count]) => count !== 0), [[counted, 1]])
  })
}

t.test('a store that was made to forget may log out, and nothing more', async t => {
  const history = [...CLEAN, entry('enter', 150, 'refused'), entry('enter', 1300, 'ok')]
  t.match(checkHistory(history, { decisions: DECISIONS, generations: GENERATIONS, mayLogOut: true }), { falseLogouts: 0, loggedOut: 1, resurrected: 1 })
})

t.test('what the table says is shown elsewhere is there, by its id', async t => {
  for (const { outage: { title }, where } of ELSEWHERE) t.ok(existsSync(join(ROOT, where)), title)
})

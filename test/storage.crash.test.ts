import t from 'tap'
import { sqliteStorage } from '../lib/adapters/kysely/index.ts'
import { createApp, databaseFile, PASSWORD } from './support/app.ts'
import { createClient } from './support/client.ts'
import { holdClock, MINUTE } from './support/clock.ts'
import { startWorker } from './support/processes.ts'
import { connect } from './support/sqlite.ts'
import { claimsOf } from './support/tokens.ts'
import { randomBytes } from 'node:crypto'

/** What a worker has told of one account before it was killed. */
interface Told {
  readonly email: string
  readonly step: 'begun' | 'registered' | 'rotated' | 'changing' | 'changed' | 'signed in' | 'signed out'
  /** The password that is in force as far as the worker knows. */
  readonly password: string
  /** Another that may be in force already: it was about to be set. */
  readonly intent?: string
  readonly jar: Record<string, string>
}

const ROUNDS = 6

t.test('S-I7 S-I15 F-21 a process that is killed loses nothing that it acknowledged, and leaves nothing half done', async t => {
  const clock = holdClock(t)
  const file = databaseFile(t)
  const secret = randomBytes(32)
  await (await sqliteStorage(file)).close?.()
  const told = new Map<string, Told>()
  let steps = 0
  for (let round = 0; round < ROUNDS; round++) {
    const worker = await startWorker(t, 'churn-worker', { file }, secret)
    worker.on('step', (step: Told) => {
      steps++
      told.set(step.email, step)
    })
    await new Promise(resolve => setTimeout(resolve, 150 + Math.random() * 400))
    await worker.kill()
  }

  const sql = connect(t, file)
  t.equal(sql.pragma('integrity_check', { simple: true }), 'ok')
  const orphans = 'SELECT count(*) FROM accounts_sessions WHERE user_id NOT IN (SELECT id FROM accounts_users)'
  t.equal(sql.prepare(orphans).pluck().get(), 0, 'no session without its user')
  const bare = 'SELECT count(*) FROM accounts_users WHERE id NOT IN (SELECT user_id FROM accounts_sessions)'
  t.equal(sql.prepare(bare).pluck().get(), 0, 'no user without the first session')
  const stale = 'SELECT count(*) FROM accounts_sessions s JOIN accounts_users u ON u.id = s.user_id WHERE s.revoked_at IS NULL AND s.epoch <> u.epoch'
  t.equal(sql.prepare(stale).pluck().get(), 0, 'no password changed without its sessions ended')

  // Each worker moved its own clock on with every rotation: be later than all of them.
  const latest = sql.prepare('SELECT max(rotated_at) FROM accounts_sessions').pluck().get() as number
  clock.advance(Math.max(0, latest - Date.now()) + MINUTE)
  const { app } = await createApp(t, { storage: await sqliteStorage(file), secret })
  const faults: string[] = []
  for (const account of told.values()) {
    const fault = await check(account)
    if (fault !== null) faults.push(`${account.email} ${account.step}: ${fault}`)
  }
  t.strictSame(faults, [])
  t.ok(told.size >= ROUNDS * 3 && steps > 2 * told.size, 'there was something to lose')
  t.comment(`${steps} steps of ${told.size} accounts, ${ROUNDS} kills`)

  async function check ({ email, step, password, intent, jar }: Told): Promise<string | null> {
    if (step === 'begun') return null
    const opening = []
    for (const candidate of [PASSWORD, 'copper meadow 57 compass']) {
      if ((await createClient(app).post('/auth/login', { email, password: candidate })).statusCode === 200) opening.push(candidate)
    }
    if (opening.length !== 1) return `${opening.length} passwords open it`
    if (opening[0] !== password && opening[0] !== intent) return 'a password that was acknowledged is lost'
    const { revoked_at: revokedAt, revoke_reason: reason } = sql.prepare('SELECT revoked_at, revoke_reason FROM accounts_sessions WHERE id = ?').get(claimsOf(jar.accounts_refresh).sid) as { revoked_at: number | null, revoke_reason: string | null }
    const browser = createClient(app, { ...jar })
    const { statusCode } = await browser.get('/private')
    if (step === 'signed out') return statusCode === 401 ? null : 'a logout is undone'
    // What the worker was about to do next may have been done; of all else the cookies must know nothing.
    const mayHaveEnded = (step === 'changing' && reason === 'password-changed') || (step === 'changed' && reason === 'replaced') || (step === 'signed in' && reason === 'signed-out')
    if (revokedAt !== null) return mayHaveEnded && statusCode === 401 ? null : `the session is gone: ${reason}`
    return statusCode === 200 ? null : `a live session is refused: ${statusCode}`
  }
})

import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'

interface Figure { readonly acknowledged: number, readonly accounts: number, readonly lost: number, readonly halfStates: number, readonly faults: readonly string[], readonly slowestReturnMs: number | null }

// `node test/soak/crash.js` kills a hundred times.
const KILLS = 2
/** After the database is back. */
const RECOVERY_MS = 5000

const CASES = {
  'sqlite:node': 'S-I7 S-I15 F-21 a process on SQLite',
  'postgres:node': 'S-I7 S-I15 F-21 a process on PostgreSQL',
  'postgres:server': 'S-I7 S-I15 F-11 PostgreSQL, with all of its processes,'
}
for (const [one, who] of Object.entries(CASES)) {
  t.test(`${who} is killed again and again: nothing is lost that was acknowledged, and nothing is left half done`, async t => {
    const { stdout } = await promisify(execFile)(process.execPath, [join(import.meta.dirname, 'soak', 'crash.js'), '--cases', one, '--kills', String(KILLS), '--json'], { env: { ...process.env, NODE_OPTIONS: '' } })
      // It fails if anything is lost, and has said what.
      .catch((error: { stdout: string }) => error)
    const [figure] = JSON.parse(stdout) as [Figure]
    t.match(figure, { lost: 0, halfStates: 0, faults: [] })
    t.ok(figure.accounts >= KILLS && figure.acknowledged > figure.accounts, 'there was something to lose')
    t.ok(Number(figure.slowestReturnMs) <= RECOVERY_MS)
    t.comment(`${KILLS} kills, ${figure.acknowledged} steps of ${figure.accounts} accounts acknowledged${figure.slowestReturnMs === null ? '' : `, back within ${figure.slowestReturnMs} ms`}`)
  })
}

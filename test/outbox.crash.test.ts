import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'

interface Figure { readonly kills: number, readonly acknowledged: number, readonly mails: number, readonly lost: number, readonly duplicates: number, readonly unanswered: number, readonly links: number, readonly wrong: number, readonly faults: readonly string[] }

// Both processes are killed once more at the end; `node test/soak/mail.js` kills a hundred times.
const KILLS = 1

for (const [on, name] of Object.entries({ sqlite: 'SQLite', postgres: 'PostgreSQL' })) {
  t.test(`F-18 S-I15 S-I18 processes on ${name} are killed while they ask for mail and send it: none is lost, and of several links one works`, async t => {
    const { stdout } = await promisify(execFile)(process.execPath, [join(import.meta.dirname, 'soak', 'mail.js'), '--on', on, '--kills', String(KILLS), '--json'], { env: { ...process.env, NODE_OPTIONS: '' } })
      // It fails if anything is lost, and has said what.
      .catch((error: { stdout: string }) => error)
    const [figure] = JSON.parse(stdout) as [Figure]
    t.match(figure, { lost: 0, wrong: 0, faults: [] })
    t.ok(figure.acknowledged > 20 && figure.links > 5, 'there was something to lose')
    t.comment(`${figure.kills} kills, ${figure.acknowledged} mails acknowledged, ${figure.mails} sent, ${figure.duplicates + figure.unanswered} twice`)
  })
}

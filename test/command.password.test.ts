import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { setImmediate } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { run } from '../bin/run.ts'
import { PASSWORD } from './support/app.ts'
import { createDatabase } from './support/command.ts'

/** Make an account at a terminal at which these lines are typed, each when it is asked for. */
async function createAtTerminal (t: Test, lines: readonly string[]) {
  const { file, stored } = await createDatabase(t)
  const [stdin, stdout, stderr] = [Object.assign(new PassThrough(), { isTTY: true }), new PassThrough(), new PassThrough()]
  const typed = [...lines]
  stderr.on('data', async (shown: Buffer) => {
    if (!shown.toString().endsWith(': ')) return
    // The prompt is there before the keyboard is listened to.
    await setImmediate()
    stdin.write(typed.shift()!)
  })
  const said = text(stderr)
  const code = await run(['user', 'create', '--email', 'ada@example.com', '--database', file], { stdin, stdout, stderr })
  stderr.end()
  return { code, stdout: await text(stdout.end()), stderr: await said, users: await stored() }
}

t.test('at a terminal the password is asked for twice, and is not shown', async t => {
  const { code, stdout, stderr, users } = await createAtTerminal(t, [`${PASSWORD}\n`, `${PASSWORD}\n`])
  t.match({ code, stdout, stderr }, { code: 0, stdout: /^Created ada@example\.com/, stderr: 'Password: \nThe same again: \n' })
  t.type(users[0]!.passwordDigest, 'string')
})

t.test('passwords that differ make no account, nor does who goes away', async t => {
  t.match(await createAtTerminal(t, [`${PASSWORD}\n`, `${PASSWORD}!\n`]), { code: 1, stdout: '', stderr: 'Password: \nThe same again: \nThe passwords differ.\n', users: [] })
  t.match(await createAtTerminal(t, ['half\u0003']), { code: 1, stdout: '', stderr: 'Password: \nCancelled.\n', users: [] })
})

import t from 'tap'
import { createQueue, hashesAtOnce } from '../lib/passwords/queue.ts'
import { createApp, OTHER_PASSWORD, PASSWORD } from './support/app.ts'

/** A task that ends when it is told to. */
function createTask () {
  let end = () => {}
  let fail = (_error: unknown) => {}
  const ended = new Promise<void>((resolve, reject) => {
    end = resolve
    fail = reject
  })
  return { run: async () => await ended, end, fail }
}

/** Let everything that can go on without waiting for the world go on. */
const settle = async () => await new Promise(resolve => setImmediate(resolve))

t.test('V-03 so many tasks run at once and no more; they start in the order in which they came', async t => {
  const queue = createQueue(2, 10)
  const tasks = Array.from({ length: 7 }, createTask)
  const started: number[] = []
  const finished = tasks.map((task, index) => queue.run(async () => {
    started.push(index)
    await task.run()
    return index
  }))
  await settle()
  t.strictSame(started, [0, 1])
  tasks[1]!.end()
  await settle()
  t.strictSame(started, [0, 1, 2], 'one left, one came')
  tasks[0]!.end()
  tasks[2]!.end()
  await settle()
  t.strictSame(started, [0, 1, 2, 3, 4])
  for (const task of tasks) task.end()
  t.strictSame(await Promise.all(finished), [0, 1, 2, 3, 4, 5, 6], 'each caller gets the result of its own task')
  t.strictSame(started, [0, 1, 2, 3, 4, 5, 6])
})

t.test('V-06 when it is closed what runs ends, and those who wait or come are refused', async t => {
  const queue = createQueue(1, 10)
  const task = createTask()
  const running = queue.run(task.run)
  const waiting = queue.run(async () => t.fail('it was run'))
  queue.close()
  await t.rejects(waiting, { code: 'FST_ACCOUNTS_BUSY' })
  task.end()
  await running
  await t.rejects(queue.run(async () => t.fail('it was run')), { code: 'FST_ACCOUNTS_BUSY' }, 'with a place free as well')
  t.strictSame(queue.load(), { running: 0, waiting: 0 })
})

t.test('V-03 nobody who comes later overtakes those who wait', async t => {
  const queue = createQueue(1, 10)
  const [first, second] = [createTask(), createTask()]
  const started: string[] = []
  const enter = async (name: string, task = async () => {}) => {
    await queue.run(async () => {
      started.push(name)
      await task()
    })
  }
  const all = [enter('first', first.run), enter('second', second.run)]
  await settle()
  first.end()
  // The place is free in this very moment.
  all.push(enter('third'))
  await settle()
  // And now it was handed on.
  all.push(enter('fourth'))
  await settle()
  t.strictSame(started, ['first', 'second'])
  second.end()
  await Promise.all(all)
  t.strictSame(started, ['first', 'second', 'third', 'fourth'])
})

t.test('V-03 who finds the queue full is told so at once, and the others are served', async t => {
  const queue = createQueue(2, 3)
  const tasks = Array.from({ length: 5 }, createTask)
  const accepted = tasks.map(task => queue.run(task.run))
  let ran = false
  const refused = queue.run(async () => { ran = true })
  await t.rejects(refused, { code: 'FST_ACCOUNTS_BUSY', statusCode: 503 })
  t.notOk(ran)
  tasks[0]!.end()
  await accepted[0]
  await t.resolves(Promise.all([queue.run(async () => {}), ...tasks.map(task => task.end()), ...accepted]), 'there is room again')
})

t.test('V-03 a task that fails gives its place on', async t => {
  const queue = createQueue(1, 1)
  for (let round = 0; round < 5; round++) {
    const task = createTask()
    const failing = queue.run(task.run)
    const waiting = queue.run(async () => 'served')
    task.fail(new TypeError('broken'))
    await t.rejects(failing, { message: 'broken' })
    t.equal(await waiting, 'served')
  }
})

t.test('V-03 as many hashes at once as there are cores, and one thread of the pool stays free', async t => {
  for (const [cores, poolSize, expected] of [[1, 4, 1], [2, 4, 2], [4, 4, 3], [64, 4, 3], [8, 16, 8], [1, 1, 1], [2, 1, 1]] as const) {
    t.equal(hashesAtOnce(cores, poolSize), expected, `${cores} cores, ${poolSize} threads`)
  }
})

t.test('V-03 when too many log in at once the surplus gets 503 with Retry-After, the others are served', async t => {
  const { client, signedUp } = await createApp(t, { passwords: { maxQueue: 2 } })
  const browser = await signedUp('ada@example.com')
  const cookies = { ...browser.cookies }
  const login = async () => await client().post('/auth/login', { email: 'ada@example.com', password: PASSWORD })
  const answers = await Promise.all(Array.from({ length: 60 }, login))
  const refused = answers.filter(({ statusCode }) => statusCode === 503)
  const served = answers.filter(({ statusCode }) => statusCode === 200)
  t.equal(refused.length + served.length, 60, 'nothing but these two answers')
  t.ok(served.length >= hashesAtOnce() + 2, `${served.length} served`)
  t.ok(refused.length > 0, `${refused.length} refused`)
  for (const { headers, body } of refused) {
    t.match(JSON.parse(body), { statusCode: 503, code: 'FST_ACCOUNTS_BUSY', error: 'Service Unavailable' })
    t.match(headers['retry-after'], /^[1-3]$/)
    t.notOk(headers['set-cookie'], 'V-02: cookies are left alone')
  }
  t.ok(new Set(refused.map(({ headers }) => headers['retry-after'])).size > 1, 'they are not all sent back at the same second')

  const storm = Array.from({ length: 60 }, login)
  const changed = browser.post('/auth/password/change', { currentPassword: PASSWORD, newPassword: OTHER_PASSWORD })
  const registered = client().post('/auth/register', { email: 'b@example.com', password: PASSWORD })
  t.equal((await changed).statusCode, 503)
  t.equal((await registered).statusCode, 503)
  await Promise.all(storm)
  t.strictSame(browser.cookies, cookies)
  t.equal((await browser.get('/private')).statusCode, 200, 'the session is as it was')
  t.equal((await login()).statusCode, 200, 'and so is the password; when the storm is over there is room')
  t.equal((await client().post('/auth/register', { email: 'b@example.com', password: PASSWORD })).statusCode, 201, 'nothing was left behind of the sign-up')
})

t.test('V-03 a guarded route answers while a storm of logins waits for hashes', async t => {
  const { client, signedUp } = await createApp(t)
  const browser = await signedUp('ada@example.com')
  let pending = 0
  const storm = Array.from({ length: 100 }, async () => {
    pending++
    await client().post('/auth/login', { email: 'ada@example.com', password: OTHER_PASSWORD })
    pending--
  })
  const waiting: number[] = []
  for (let request = 0; request < 50; request++) {
    t.equal((await browser.get('/private')).statusCode, 200)
    waiting.push(pending)
  }
  t.ok(waiting.at(-1)! > 25, `${waiting.at(-1)} of 100 logins were still waiting when the fiftieth answer was there`)
  await Promise.all(storm)
})

import type { Test } from 'tap'
import type { AccountsOptions, User, UserChange } from '../../types/index.ts'
import { createApp, type TestApp } from './app.ts'
import type { Client } from './client.ts'

export interface Person {
  readonly id: string
  readonly browser: Client
}

export interface PeopleApp extends TestApp {
  /** A user without a password, which would cost time, with a session in a browser. */
  person (roles?: readonly string[], change?: UserChange): Promise<Person>
  /** A further browser in which this user is signed in. */
  signIn (id: string): Promise<Client>
  find (id: string): Promise<User | null>
}

/** An app in which people come to be, and to be signed in, without a password: `POST /as/:id` is single sign-on. */
export async function createPeopleApp (t: Test, options: Partial<AccountsOptions> = {}, setup: Parameters<typeof createApp>[2] = () => {}): Promise<PeopleApp> {
  const test = await createApp(t, options, async app => {
    app.post('/as/:id', async (request, reply) => await reply.signIn({ id: (request.params as { id: string }).id }))
    await setup(app)
  })
  const { users } = test.app.accounts
  const signIn = async (id: string) => {
    const browser = test.client()
    const { statusCode } = await browser.post(`/as/${id}`)
    if (statusCode !== 200) throw new TypeError(`single sign-on answered ${statusCode}`)
    return browser
  }
  let count = 0
  return {
    ...test,
    signIn,
    find: users.find,
    async person (roles = [], change) {
      const { id } = await users.create({ email: `person${++count}@example.com`, roles })
      const browser = await signIn(id)
      if (change !== undefined) await users.update(id, change)
      return { id, browser }
    }
  }
}

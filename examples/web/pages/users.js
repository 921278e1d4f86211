import { showAgain, textOf } from '../forms.js'

const PAGE = 20

export async function users (app) {
  const { accounts } = app
  // What changes somebody else's account rests on the roles as the store has them, not on memory.
  const owner = app.guard({ via: 'cookie', roles: ['owner'], liveness: 'strict' })

  app.get('/users', { onRequest: owner }, async (request, reply) => {
    const [search, cursor] = [textOf(request.query, 'search'), textOf(request.query, 'cursor')]
    const list = await accounts.users.list({ search, cursor: cursor === '' ? null : cursor, limit: PAGE })
    return reply.view('users', { ...list, search, isFirst: cursor === '' })
  })

  app.get('/users/:id', { onRequest: owner }, async (request, reply) => {
    const account = await find(request)
    return reply.view('user', { account, sessions: await accounts.sessions.list(account.id), values: { roles: account.roles.join(' ') } })
  })

  app.post('/users/:id/roles', { onRequest: owner }, async (request, reply) => {
    const roles = textOf(request.body, 'roles').split(/[\s,]+/).filter(role => role !== '')
    return await change(request, reply, { roles }, 'user-saved')
  })
  app.post('/users/:id/disable', { onRequest: owner }, async (request, reply) => await change(request, reply, { disabled: true }, 'user-disabled'))
  app.post('/users/:id/enable', { onRequest: owner }, async (request, reply) => await change(request, reply, { disabled: false }, 'user-enabled'))

  app.post('/users/:id/end-sessions', { onRequest: owner }, async (request, reply) => {
    const { id } = await find(request)
    await accounts.sessions.endAll(id, {}, { request })
    return reply.flash('user-sessions-ended').redirect(`/users/${id}`, 303)
  })

  async function find ({ params }) {
    const user = await accounts.users.find(params.id)
    if (user === null) throw Object.assign(new Error('There is no such account.'), { statusCode: 404 })
    return user
  }

  async function change (request, reply, wanted, done) {
    const account = await find(request)
    try {
      await accounts.users.update(account.id, wanted, { request })
    } catch (error) {
      return showAgain(reply, error, 'user', { account, sessions: await accounts.sessions.list(account.id), values: { roles: (wanted.roles ?? account.roles).join(' ') } })
    }
    return reply.flash(done).redirect(`/users/${account.id}`, 303)
  }
}

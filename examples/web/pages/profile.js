import { showAgain, textOf } from '../forms.js'

export async function profile (app) {
  const member = app.guard({ via: 'cookie' })

  app.get('/profile', { onRequest: member }, async (request, reply) => reply.view('profile', { values: { name: request.principal.user.name ?? '' } }))

  app.post('/profile', { onRequest: member }, async (request, reply) => {
    const name = textOf(request.body, 'name').trim()
    try {
      await app.accounts.users.update(request.principal.user.id, { name: name === '' ? null : name }, { request })
    } catch (error) {
      return showAgain(reply, error, 'profile', { values: { name } })
    }
    return reply.flash('profile-saved').redirect('/profile', 303)
  })

  // The same as GET /auth/me/export; here for whoever has to give the password first, and comes back.
  app.get('/profile/export', { onRequest: app.guard({ via: 'cookie', fresh: '15m' }) }, async (request, reply) => reply
    .header('content-disposition', 'attachment; filename="account.json"')
    .send(await app.accounts.users.export(request.principal.user.id)))
}

import { showAgain, textOf } from '../forms.js'

export async function deleteAccount (app) {
  // Whoever has not given the password lately is asked for it first.
  const freshly = app.guard({ via: 'cookie', fresh: '15m' })

  app.get('/profile/delete', { onRequest: freshly }, async (_request, reply) => reply.view('delete-account'))

  app.post('/profile/delete', { onRequest: freshly }, async (request, reply) => {
    const { user } = request.principal
    const email = textOf(request.body, 'email')
    if (email.trim().toLowerCase() !== user.email.toLowerCase()) {
      return reply.code(422).view('delete-account', { values: { email }, problem: { field: 'email', message: 'This is not the address of your account.' } })
    }
    try {
      await app.accounts.users.delete(user.id, { request })
    } catch (error) {
      return showAgain(reply, error, 'delete-account', { values: { email } })
    }
    await reply.signOut()
    return reply.flash('account-deleted').redirect('/login', 303)
  })
}

import { showAgain, textOf } from '../forms.js'

export async function changePassword (app) {
  const member = app.guard({ via: 'cookie' })

  app.get('/profile/password', { onRequest: member }, async (_request, reply) => reply.view('change-password'))

  app.post('/profile/password', { onRequest: [member, app.checkForm] }, async (request, reply) => {
    const passwords = { currentPassword: textOf(request.body, 'currentPassword'), newPassword: textOf(request.body, 'newPassword') }
    try {
      await app.accounts.passwords.change(request.principal.user.id, passwords, { reply })
    } catch (error) {
      return showAgain(reply, error, 'change-password', { values: {}, fields: { PASSWORD: 'newPassword', PASSWORD_WRONG: 'currentPassword' } })
    }
    return reply.flash('password-changed').redirect('/profile', 303)
  })
}

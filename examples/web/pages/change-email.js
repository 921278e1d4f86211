import { showAgain, textOf } from '../forms.js'

/** Asks for another address; what the link in the mail to it does stands in verify-email.js. */
export async function changeEmail (app) {
  const member = app.guard({ via: 'cookie' })

  app.get('/profile/email', { onRequest: member }, async (_request, reply) => reply.view('change-email'))

  app.post('/profile/email', { onRequest: [member, app.checkForm] }, async (request, reply) => {
    const email = textOf(request.body, 'email')
    try {
      await app.accounts.emails.change(request.principal.user.id, { email, password: textOf(request.body, 'password') }, { request })
    } catch (error) {
      return showAgain(reply, error, 'change-email', { values: { email } })
    }
    return reply.flash('email-asked').redirect('/profile', 303)
  })
}

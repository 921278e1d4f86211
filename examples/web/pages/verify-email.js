import { showAgain, textOf } from '../forms.js'

// Where links in mail lead to, for a new account and for another address of an old one. To look at the page changes
// nothing, as scanners of mail do that too: a button does.
export async function verifyEmail (app) {
  const visitor = app.guard({ via: 'cookie', optional: true })

  for (const { path, view, done } of [
    { path: '/verify-email', view: 'verify-email', done: 'email-verified' },
    { path: '/change-email', view: 'use-email', done: 'email-changed' }
  ]) {
    app.get(path, { onRequest: visitor }, async (request, reply) => reply.view(view, { token: textOf(request.query, 'token') }))

    app.post(path, { onRequest: app.checkForm }, async (request, reply) => {
      const token = textOf(request.body, 'token')
      try {
        await app.accounts.emails.verify(token, { request })
      } catch (error) {
        return showAgain(reply, error, view, { token: '', values: {}, fields: { EMAIL: 'token' } })
      }
      return reply.flash(done).redirect(path === '/change-email' ? '/profile' : '/login', 303)
    })
  }

  app.get('/verify-email/again', { onRequest: visitor }, async (_request, reply) => reply.view('verify-again'))

  app.post('/verify-email/again', { onRequest: app.checkForm }, async (request, reply) => {
    const email = textOf(request.body, 'email')
    try {
      await app.accounts.emails.resend(email, { request })
    } catch (error) {
      return showAgain(reply, error, 'verify-again', { values: { email } })
    }
    return reply.flash('link-sent').redirect('/login', 303)
  })
}

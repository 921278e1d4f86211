import { showAgain, textOf } from '../forms.js'

export async function forgottenPassword (app) {
  const visitor = app.guard({ via: 'cookie', optional: true })

  app.get('/forgot-password', { onRequest: visitor }, async (_request, reply) => reply.view('forgot-password'))

  app.post('/forgot-password', { onRequest: app.checkForm }, async (request, reply) => {
    const email = textOf(request.body, 'email')
    try {
      await app.accounts.passwords.forgot(email, { request })
    } catch (error) {
      return showAgain(reply, error, 'forgot-password', { values: { email } })
    }
    return reply.flash('link-sent').redirect('/login', 303)
  })

  app.get('/reset-password', { onRequest: visitor }, async (request, reply) => reply.view('reset-password', { token: textOf(request.query, 'token') }))

  app.post('/reset-password', { onRequest: app.checkForm }, async (request, reply) => {
    const token = textOf(request.body, 'token')
    try {
      await app.accounts.passwords.reset(token, textOf(request.body, 'password'), { request })
    } catch (error) {
      // A password that is refused leaves the link good.
      return showAgain(reply, error, 'reset-password', { token: error.code === 'FST_ACCOUNTS_LINK_INVALID' ? '' : token, values: {} })
    }
    return reply.flash('password-reset').redirect('/login', 303)
  })
}

import { localPath } from '../errors.js'
import { showAgain, textOf } from '../forms.js'

export async function login (app) {
  // Without a guard: whatever is the matter with a browser's cookies, here it can begin anew.
  app.get('/login', async (request, reply) => reply.view('login', { next: localPath(textOf(request.query, 'next')), values: { remember: true } }))

  app.post('/login', { onRequest: app.checkForm }, async (request, reply) => {
    const [email, password] = [textOf(request.body, 'email'), textOf(request.body, 'password')]
    const remember = textOf(request.body, 'remember') === 'on'
    const next = localPath(textOf(request.body, 'next'))
    try {
      // Throttled and uniform as POST /auth/login is; the answer takes the session's cookies along.
      await app.accounts.login({ email, password, remember }, { reply })
    } catch (error) {
      return showAgain(reply, error, 'login', { next, values: { email, remember } })
    }
    return reply.redirect(next, 303)
  })

  app.post('/logout', { onRequest: app.checkForm }, async (_request, reply) => {
    await reply.signOut()
    return reply.flash('signed-out').redirect('/login', 303)
  })

  // What is worth more than a session asks for the password once more, and for those who have given it lately for nothing.
  const member = app.guard({ via: 'cookie' })

  app.get('/confirm', { onRequest: member }, async (request, reply) => reply.view('confirm', { next: localPath(textOf(request.query, 'next')) }))

  app.post('/confirm', { onRequest: [member, app.checkForm] }, async (request, reply) => {
    const next = localPath(textOf(request.body, 'next'))
    try {
      await app.accounts.login({ email: request.principal.user.email, password: textOf(request.body, 'password') }, { reply })
    } catch (error) {
      return showAgain(reply, error, 'confirm', { next, values: {}, fields: { CREDENTIALS: 'password' }, words: { CREDENTIALS_INVALID: 'Wrong password' } })
    }
    return reply.redirect(next, 303)
  })
}

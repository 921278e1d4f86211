import { showAgain, textOf } from '../forms.js'

export async function register (app) {
  app.get('/register', { onRequest: app.guard({ via: 'cookie', optional: true }) }, async (request, reply) =>
    request.principal === null ? reply.view('register') : reply.redirect('/', 303))

  app.post('/register', { onRequest: app.checkForm }, async (request, reply) => {
    const [email, name] = [textOf(request.body, 'email'), textOf(request.body, 'name').trim()]
    const account = { email, password: textOf(request.body, 'password'), ...(name === '' ? {} : { name }) }
    try {
      const signedIn = await app.accounts.register(account, { reply })
      // Without a mailer nobody has to prove an address, and whoever registers is signed in.
      return reply.redirect(signedIn === null ? '/register/check-mail' : '/', 303)
    } catch (error) {
      return showAgain(reply, error, 'register', { values: { email, name } })
    }
  })

  app.get('/register/check-mail', { onRequest: app.guard({ via: 'cookie', optional: true }) }, async (_request, reply) => reply.view('check-mail'))
}

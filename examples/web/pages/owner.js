import { showAgain, textOf } from '../forms.js'

/** Whoever can read the log of the server, or knows the credentials that all have shared until now, makes the first account. */
export async function owner (app) {
  const { accounts } = app
  // Where there is no code, though nobody is the owner, the legacy credentials prove it.
  const read = async () => ({ isClaimed: await accounts.owner.isClaimed(), byCode: await accounts.owner.setupCode() !== null })

  app.get('/owner', { onRequest: app.guard({ via: 'cookie', optional: true }) }, async (_request, reply) => reply.view('owner', await read()))

  app.post('/owner', { onRequest: app.checkForm }, async (request, reply) => {
    const { body } = request
    const { byCode } = await read()
    const [email, name, legacyName] = [textOf(body, 'email'), textOf(body, 'name').trim(), textOf(body, 'legacyName')]
    try {
      await accounts.owner.checkProof(byCode ? { setupCode: textOf(body, 'setupCode') } : { username: legacyName, password: textOf(body, 'legacyPassword') }, { request })
      await accounts.owner.claim({ email, password: textOf(body, 'password'), ...(name === '' ? {} : { name }) }, { reply })
    } catch (error) {
      return showAgain(reply, error, 'owner', {
        ...await read(),
        values: { email, name, legacyName },
        fields: { OWNER_PROOF_REFUSED: byCode ? 'setupCode' : 'legacyPassword' },
        words: { OWNER_PROOF_REFUSED: byCode ? 'This is not the setup code that the server shows at its start' : 'This is not the shared name and password' }
      })
    }
    return reply.flash('owner-made').redirect('/', 303)
  })
}

/** The mails of the mailbox, for development only: whoever reads them gets into any account. */
export async function mails (app, { mailbox }) {
  const visitor = app.guard({ via: 'cookie', optional: true })

  app.get('/mails', { onRequest: visitor }, async (_request, reply) => reply.view('mails', { mails: mailbox.list() }))

  app.get('/mails/:number', { onRequest: visitor }, async (request, reply) => {
    const mail = mailbox.find(Number(request.params.number))
    if (mail === null) throw Object.assign(new Error('There is no such mail.'), { statusCode: 404 })
    return reply.view('mail', { mail, parts: withLinks(mail.text) })
  })
}

/** The text in parts, each of which is a link or is not. */
const withLinks = text => text.split(/(https?:\/\/[^\s<>]+)/).map(part => ({ text: part, isLink: /^https?:/.test(part) }))

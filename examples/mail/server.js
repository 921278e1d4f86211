import Fastify from 'fastify'
import accounts, { html } from 'fastify-accounts'
import { sqliteStorage } from 'fastify-accounts/kysely'
import { nodemailerMailer } from 'fastify-accounts/nodemailer'

export async function build (options, { smtp = { host: 'smtp.example.com', user: 'shop', password: process.env.SMTP_PASSWORD } }) {
  const app = Fastify()
  await app.register(accounts, {
    appUrl: 'http://localhost:3000',
    storage: await sqliteStorage('accounts.db'),
    // Port 587 with STARTTLS, unless it says otherwise.
    mailer: nodemailerMailer(smtp, { from: 'Ada\'s Shop <shop@example.com>' }),
    mail: {
      appName: 'Ada\'s Shop',
      messages: {
        // Who reads German gets this one, everybody else the package's own.
        'reset-password': ({ locale, appName, data }) => locale?.startsWith('de')
          ? {
              subject: `Neues Passwort für ${appName}`,
              text: `Hier geht es zum neuen Passwort:\n${data.link}\n`,
              html: html`<p><a href="${data.link}">Hier geht es zum neuen Passwort</a></p>`
            }
          : null
      }
    },
    // A page of yours; by default http://localhost:3000/reset-password?token=…
    links: { resetPassword: token => `http://localhost:3000/#/password/${token}` },
    ...options
  })
  return app
}

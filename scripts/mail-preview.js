// Writes every mail as .html and .txt, and a page of all, so that a person can look at them: npm run mail:preview [folder]
import { mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { html } from '../dist/lib/index.js'
import { createMessages } from '../dist/lib/mail/messages.js'
import { MAIL_KINDS } from '../dist/lib/options/members.js'
import { SAMPLE_APP, SAMPLE_USER, SAMPLES } from '../test/support/sample-mails.js'

const folder = resolve(process.argv[2] ?? 'mail-preview')
const render = createMessages({ ...SAMPLE_APP, messages: {} }, (kind, reason) => console.error(kind, reason))

mkdirSync(folder, { recursive: true })
const mails = await Promise.all(MAIL_KINDS.map(async kind => ({ kind, ...await render(kind, { user: SAMPLE_USER, data: SAMPLES[kind], locale: null }) })))
for (const mail of mails) {
  writeFileSync(join(folder, `${mail.kind}.html`), mail.html)
  writeFileSync(join(folder, `${mail.kind}.txt`), `Subject: ${mail.subject}\n\n${mail.text}`)
}
writeFileSync(join(folder, 'index.html'), String(html`<!doctype html>
<meta charset="utf-8">
<meta name="color-scheme" content="light dark">
<title>Mails of fastify-accounts</title>
<style>
  body { font: 16px system-ui, sans-serif; margin: 2rem }
  section { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem; margin-bottom: 2rem }
  h2 { grid-column: 1 / -1; margin: 0; font-size: 1.1rem }
  iframe, pre { box-sizing: border-box; width: 100%; height: 36rem; margin: 0; border: 1px solid; overflow: auto; white-space: pre-wrap; font-size: 13px }
  pre { padding: 1rem }
</style>
${mails.map(({ kind, subject, text }) => html`<section><h2>${kind}: ${subject}</h2><iframe src="${kind}.html"></iframe><pre>${text}</pre></section>\n`)}`))
console.log(`${mails.length} mails: ${join(folder, 'index.html')}`)

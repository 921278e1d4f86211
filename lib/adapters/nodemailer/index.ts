export { nodemailerMailer, type MailTransport, type NodemailerOptions, type Sender } from './mailer.ts'
export type { SmtpOptions } from './smtp.ts'

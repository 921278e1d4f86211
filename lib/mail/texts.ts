import type { MailContext, MailKind } from '../../types/mailer.ts'
import type { Block, Text } from './layout.ts'

/** The texts in English. No subject holds anything that a user chose. */
const TEXTS: { readonly [Kind in MailKind]: (context: MailContext<Kind>) => { readonly subject: string, readonly blocks: readonly Block[] } } = {
  'reset-password': ({ appName, user, data }) => ({
    subject: `Reset your password for ${appName}`,
    blocks: [
      hello(user.name),
      `Somebody, most likely you, asked for a new password for your account at ${appName}, ${user.email}.`,
      { label: 'Choose a new password', link: data.link },
      `The link works once, for ${lifetime(data.validMinutes)}. A newer mail like this one makes it void.`,
      'If it was not you, there is nothing to do: your password stays as it is.'
    ]
  }),
  'verify-email': ({ appName, data }) => ({
    subject: `Confirm your e-mail address for ${appName}`,
    blocks: [
      hello(null),
      `Somebody, most likely you, signed up at ${appName} with this e-mail address. Please confirm that it is yours.`,
      { label: 'Confirm this address', link: data.link },
      `The link works once, for ${lifetime(data.validMinutes)}.`,
      `If you did not sign up at ${appName}, please ignore this mail.`
    ]
  }),
  'change-email': ({ appName, data }) => ({
    subject: `Confirm your new e-mail address for ${appName}`,
    blocks: [
      hello(null),
      `Somebody, most likely you, wants to use this e-mail address for an account at ${appName}. Please confirm that it is yours.`,
      { label: 'Use this address', link: data.link },
      `The link works once, for ${lifetime(data.validMinutes)}. Until then nothing changes.`,
      `If you have no account at ${appName}, please ignore this mail.`
    ]
  }),
  'email-change-requested': ({ appName, appUrl, user, data }) => ({
    subject: `Your e-mail address for ${appName} is about to change`,
    blocks: [
      hello(user.name),
      `Somebody, most likely you, asked to change the e-mail address of your account at ${appName}. It changes as soon as the new address is confirmed.`,
      { facts: [['New address', data.newEmail], ...circumstances(data)] },
      'If it was not you, somebody knows your password. Log in and change it now: that also stops this change.',
      { label: `Go to ${appName}`, link: appUrl }
    ]
  }),
  'email-changed': ({ appName, appUrl, user, data }) => ({
    subject: `Your e-mail address for ${appName} was changed`,
    blocks: [
      hello(user.name),
      `The e-mail address of your account at ${appName} was changed. From now on, log in with the new one; no more mail comes to this address.`,
      { facts: [['New address', data.newEmail], ...circumstances(data)] },
      `If it was not you, somebody else has your account. Tell those who run ${appName} at once.`,
      { label: `Go to ${appName}`, link: appUrl }
    ]
  }),
  'email-taken': ({ appName, appUrl, user }) => ({
    subject: `You have an account at ${appName} already`,
    blocks: [
      hello(user.name),
      `Somebody, perhaps you, tried to sign up at ${appName} with this e-mail address. It has an account already, so nothing was changed and no new one was made.`,
      'If it was you, log in as usual. If you have forgotten your password, you can ask for a new one there.',
      { label: `Go to ${appName}`, link: appUrl },
      'If it was not you, there is nothing to do.'
    ]
  }),
  'password-changed': ({ appName, appUrl, user, data }) => ({
    subject: `Your password for ${appName} was changed`,
    blocks: [
      hello(user.name),
      `The password of your account at ${appName} was changed, and every other login of it was ended.`,
      { facts: circumstances(data) },
      'If it was you, there is nothing to do. If it was not, ask for a new password now.',
      { label: `Go to ${appName}`, link: appUrl }
    ]
  }),
  'session-reused': ({ appName, appUrl, user, data }) => ({
    subject: `A login of yours at ${appName} was ended, for safety`,
    blocks: [
      hello(user.name),
      `The cookie of one of your logins at ${appName} was used in two places, so somebody may have copied it. That login was ended, in both.`,
      { facts: circumstances(data) },
      'Please log in again. If you do not know the place above, change your password too, and check your devices for malware.',
      { label: `Go to ${appName}`, link: appUrl }
    ]
  }),
  'personal-token-created': ({ appName, appUrl, user, data }) => ({
    subject: `A personal access token for ${appName} was made`,
    blocks: [
      hello(user.name),
      `A personal access token was made for your account at ${appName}. Whoever holds it can act as you, within its limits.`,
      { facts: [['Name', data.tokenName], ['Valid until', moment(data.expiresAt)], ...circumstances(data)] },
      'If it was not you, log in, delete the token and change your password.',
      { label: `Go to ${appName}`, link: appUrl }
    ]
  }),
  'personal-token-expiring': ({ appName, appUrl, user, data }) => ({
    subject: `A personal access token for ${appName} ends soon`,
    blocks: [
      hello(user.name),
      `A personal access token of your account at ${appName} is about to end. What uses it will then be refused.`,
      { facts: [['Name', data.tokenName], ['Valid until', moment(data.expiresAt)], ['Last used', data.lastUsedAt === null ? 'never' : moment(data.lastUsedAt)]] },
      'If it is still needed, log in and replace it with a new one. If not, there is nothing to do.',
      { label: `Go to ${appName}`, link: appUrl }
    ]
  })
}

/** The package's own text of a mail. */
export function textOf<Kind extends MailKind> (context: MailContext<Kind>): Text {
  return { ...TEXTS[context.kind](context), footer: `${context.appName} has sent this mail automatically.` }
}

/** 40 letters that can't be read as an address of the web or a text: strangers choose names, and mail goes out in ours. */
const NAME = /^(?!.*\.[\p{L}]{2})\p{L}[\p{L}\p{M} '’.-]{0,39}$/u

const hello = (name: string | null) => name !== null && NAME.test(name) ? `Hello ${name},` : 'Hello,'

function lifetime (minutes: number): string {
  const [count, unit] = minutes % 1440 === 0 ? [minutes / 1440, 'day'] : minutes % 60 === 0 ? [minutes / 60, 'hour'] : [minutes, 'minute']
  return `${count} ${unit}${count === 1 ? '' : 's'}`
}

const circumstances = ({ at, device, address }: { readonly at: Date, readonly device: string | null, readonly address: string | null }) =>
  [['When', moment(at)], ['Device', device], ['Network address', address]] as const

/** In the one time zone that every reader can convert from. */
const MOMENT = new Intl.DateTimeFormat('en-GB', { dateStyle: 'long', timeStyle: 'short', timeZone: 'UTC' })

const moment = (date: Date) => `${MOMENT.format(date)} UTC`

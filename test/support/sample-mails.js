const APP_URL = 'https://app.example.com/shop'
const event = { at: new Date('2026-11-21T09:10:11Z'), device: 'Firefox on Windows', address: '203.0.113.7' }
/** @param {string} page */
const link = (page) => `${APP_URL}/${page}?token=Zm9yLWxvb2tpbmctYXQtYWxvbmUtbm9ib2R5LWtub3dzLWl0LQ`

/**
 * What each kind of mail is made of.
 * @type {import('../../types/mailer.ts').MailData}
 */
export const SAMPLES = {
  'reset-password': { link: link('reset-password'), validMinutes: 30 },
  'verify-email': { link: link('verify-email'), validMinutes: 1440 },
  'change-email': { link: link('change-email'), validMinutes: 60 },
  'email-change-requested': { ...event, newEmail: 'ada.lovelace@example.org' },
  'email-changed': { ...event, newEmail: 'ada.lovelace@example.org' },
  'email-taken': {},
  'password-changed': { ...event, address: '2001:db8:85a3::8a2e:370:7334' },
  'session-reused': event,
  'personal-token-expiring': { tokenName: 'Nightly report', expiresAt: new Date('2026-12-21T09:10:11Z'), lastUsedAt: new Date('2026-12-13T23:00:00Z') },
  'personal-token-created': { ...event, tokenName: 'Nightly report', expiresAt: new Date('2026-12-21T09:10:11Z') }
}

export const SAMPLE_APP = { appName: 'Ada\'s Shop', appUrl: APP_URL }
export const SAMPLE_USER = { name: 'Ada Lovelace', email: 'ada@example.com' }

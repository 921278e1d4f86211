// A word on what has just been done, for the page that a form leads to. The cookie holds a name of this list, and no text.
const COOKIE = 'flash'

const MESSAGES = {
  'signed-out': 'You are signed out.',
  'sign-in-again': 'Please sign in to go on.',
  'account-deleted': 'Your account is deleted, with all that belonged to it.',
  'link-sent': 'If there is an account for it, a link is on its way to that address.',
  'email-verified': 'Thank you, your e-mail address is confirmed. You can sign in now.',
  'email-changed': 'Your e-mail address is changed.',
  'email-asked': 'Nearly done: open the link that we have sent to your new address.',
  'password-reset': 'Your new password is set, and every session has ended. Sign in with it.',
  'password-changed': 'Your password is changed, and every other session has ended.',
  'profile-saved': 'Your profile is saved.',
  'session-ended': 'That session has ended.',
  'others-ended': 'You are signed out everywhere else.',
  'token-revoked': 'The token is revoked: from now on it is refused.',
  'owner-made': 'Welcome. This installation is yours.',
  'user-saved': 'Saved.',
  'user-disabled': 'The account is disabled, and its sessions have ended.',
  'user-enabled': 'The account is enabled.',
  'user-sessions-ended': 'All sessions of this account have ended.'
}

export function addFlash (site) {
  site.decorateReply('flash', function (name) {
    if (!(name in MESSAGES)) throw new TypeError(`No such message: ${name}`)
    return this.setCookie(COOKIE, name, { path: '/', httpOnly: true, sameSite: 'lax', maxAge: 60 })
  })
  site.decorateReply('takeFlash', function () {
    const { request } = this
    const name = request.cookies[COOKIE]
    // The page that a form leads to shows it, not the next form.
    if (name === undefined || request.method !== 'GET') return null
    this.clearCookie(COOKIE, { path: '/' })
    return Object.hasOwn(MESSAGES, name) ? MESSAGES[name] : null
  })
}

import { STATUS_CODES } from 'node:http'

const TITLES = {
  403: 'You can’t do that',
  404: 'Not found',
  429: 'Too many requests',
  503: 'Please try again in a moment'
}

const MESSAGES = { 503: 'The server can’t answer that just now. Nothing is lost, and you stay signed in.' }

const STALE = ['FST_ACCOUNTS_TOKEN_EXPIRED', 'FST_ACCOUNTS_TOKEN_INVALID']

/** Errors of pages are pages, and who has to sign in first is led there and back. */
export function answerErrors (site, appUrl) {
  const { origin } = new URL(appUrl)

  site.setErrorHandler(async (error, request, reply) => {
    if (error.code === 'FST_ACCOUNTS_FRESH_LOGIN_REQUIRED') return reply.redirect(`/confirm?next=${wayBack(request)}`, 303)
    if (error.statusCode === 401) {
      // The session is over: without this its cookies would be refused on every page.
      await reply.signOut()
      // Once more without them: the page may be for anybody.
      if (request.method === 'GET' && STALE.includes(error.code)) return reply.redirect(localPath(request.url), 303)
      return reply.flash('sign-in-again').redirect(`/login?next=${wayBack(request)}`, 303)
    }
    const status = error.statusCode >= 400 ? error.statusCode : 500
    if (status >= 500) request.log.error({ err: error }, 'a page failed')
    return showError(reply.headers(error.headers ?? {}), status, status < 500 ? error.message : MESSAGES[status])
  })
  site.setNotFoundHandler(async (_request, reply) => showError(reply, 404, 'There is no such page.'))

  /** Where to go on afterwards: to this page, or to the one that has the form. */
  function wayBack ({ method, url, headers: { referer } }) {
    if (method === 'GET') return encodeURIComponent(url)
    const from = URL.canParse(referer ?? '') ? new URL(referer) : null
    return encodeURIComponent(from?.origin === origin ? from.pathname : '/')
  }
}

function showError (reply, status, message) {
  reply.header('cache-control', 'no-store')
  return reply.code(status).view('error', { title: TITLES[status] ?? STATUS_CODES[status] ?? 'Error', message: message ?? 'Something went wrong on our side. It has been noted.' })
}

/** A path of this site, whatever was asked for: who follows a link to the login must not end up elsewhere. */
export function localPath (text) {
  const base = 'http://localhost'
  const url = URL.canParse(text, base) ? new URL(text, base) : null
  // Two slashes at its beginning would be another host.
  return url?.origin === base && /^\/(?!\/)/.test(url.pathname) ? url.pathname + url.search : '/'
}

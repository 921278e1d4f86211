// Whoever is signed in at the old server when it is replaced stays signed in: their old cookies are traded for a session of
// ours, once. docs/from-flowise.md says what that risks. Take it out when `until` has passed.
import { createHmac, timingSafeEqual } from 'node:crypto'
import { createVerifier } from 'fast-jwt'

const OLD_COOKIES = ['token', 'refreshToken', 'connect.sid']
const OWN_COOKIE = /(?:^|;)\s*(?:__(?:Host|Secure)-)?accounts_(?:access|refresh)=/

/** For so long the other requests of the same page get the session that the first one has begun. */
const SHARED_MS = 30_000

/**
 * Add it before `fastify-accounts`, so that every guard sees the new cookies.
 * @param {import('fastify').FastifyInstance} app
 * @param {object} given
 * @param {string} given.jwtSecret what signed the old refresh tokens
 * @param {string} given.issuer what they say in `iss`
 * @param {string} given.audience and in `aud`
 * @param {string} given.sessionSecret what signed the old cookie `connect.sid`
 * @param {Date} given.until from then on nothing old is taken
 * @param {{ claim (sid: string, userId: string): Promise<boolean> }} given.sessions the old sessions
 * @param {import('fastify-accounts').UserStore} given.users of our storage
 */
export function bridgeOldSessions (app, { jwtSecret, issuer, audience, sessionSecret, until, sessions, users }) {
  for (const [name, value] of Object.entries({ jwtSecret, issuer, audience, sessionSecret })) {
    if (typeof value !== 'string' || value === '') throw new TypeError(`${name} is missing: what is not given would not be checked`)
  }
  if (Number.isNaN(until.getTime())) throw new TypeError('until is no date')
  // The one of the example that many have copied is long, and has four different letters.
  if (Buffer.byteLength(jwtSecret) < 32 || new Set(jwtSecret).size < 10) app.log.warn('the old tokens are signed with a weak secret: that a session is alive is all that proves who calls')

  // Each claim is asked for by name: a verifier takes what it is not told to refuse.
  const verify = createVerifier({ key: jwtSecret, algorithms: ['HS256'], checkTyp: 'JWT', allowedIss: issuer, allowedAud: audience, requiredClaims: ['id', 'iat', 'exp', 'iss', 'aud'] })
  const trades = new Map()

  app.addHook('onRequest', async (request, reply) => {
    const { cookie = '' } = request.headers
    if (Date.now() >= until.getTime() || !cookie.includes('refreshToken=') || OWN_COOKIE.test(cookie)) return
    const proof = readProof(cookie)
    const cookies = proof === null ? null : await tradeOnce(proof, reply)
    reply.header('cache-control', 'no-store')
    reply.header('set-cookie', [...cookies ?? [], ...OLD_COOKIES.map(name => `${name}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax`)])
    // The request goes on as if it had come with them. Whoever was refused is a stranger to its guard.
    if (cookies !== null) request.headers = { cookie: [cookie, ...cookies.map(line => line.split(';', 1)[0])].join('; ') }
  })

  /** Both cookies, as the old server wanted them: a token that it has signed, and the id of a session. */
  function readProof (cookie) {
    const [token, signedId] = ['refreshToken', 'connect.sid'].map(name => readCookie(cookie, name))
    const sid = unsign(signedId, sessionSecret)
    if (token === null || sid === null) return null
    try {
      const { id, iat } = verify(token)
      return typeof id === 'string' && id !== '' ? { userId: id, sid, provedAt: new Date(iat * 1000) } : null
    } catch {
      return null
    }
  }

  /** A page sends many requests at once, and should not leave as many sessions. */
  async function tradeOnce (proof, reply) {
    const key = `${proof.userId} ${proof.sid}`
    const known = trades.get(key)
    if (known !== undefined) return await known
    const begun = trade(proof, reply)
    trades.set(key, begun)
    const forget = () => { trades.delete(key) }
    setTimeout(forget, SHARED_MS).unref()
    // What failed because a database was away may be tried again.
    begun.catch(forget)
    return await begun
  }

  /** The lines of `Set-Cookie`; `null`: what is old is no longer good. */
  async function trade ({ userId, sid, provedAt }, reply) {
    const user = await reach(users.find(userId))
    // The epoch of whoever has changed the password here, or was disabled in between, is another: what was before is void.
    if (user === null || user.disabled || user.epoch !== 0) return null
    if (!await reach(sessions.claim(sid, userId))) return null
    // Nobody has typed a password just now, and the old cookies ended with the browser.
    await reply.signIn(user, { authenticatedAt: provedAt, remember: false })
    const cookies = [reply.getHeader('set-cookie')].flat()
    reply.removeHeader('set-cookie')
    return cookies
  }
}

/** A database that is away is no reason to log anybody out: the cookies stay, and the client tries again. */
async function reach (answer) {
  return await answer.catch(cause => { throw Object.assign(new Error('Not available at the moment', { cause }), { statusCode: 503 }) })
}

/** The value of a cookie; `null` if it is not there, or there twice: which would be ours? */
function readCookie (header, name) {
  const values = header.split(';').map(pair => pair.trim()).filter(pair => pair.startsWith(`${name}=`)).map(pair => pair.slice(name.length + 1))
  return values.length === 1 ? values[0] : null
}

/** The id in a signed cookie of express-session: `s:<id>.<HMAC-SHA-256 of the id>`, with the `:` and others encoded. */
function unsign (value, secret) {
  const [, sid, signature] = /^s%3A([\w-]{16,128})\.([\w%]{43,})$/.exec(value ?? '') ?? []
  if (sid === undefined) return null
  const expected = Buffer.from(encodeURIComponent(createHmac('sha256', secret).update(sid).digest('base64').replace(/=+$/, '')))
  const given = Buffer.from(signature)
  return given.length === expected.length && timingSafeEqual(given, expected) ? sid : null
}

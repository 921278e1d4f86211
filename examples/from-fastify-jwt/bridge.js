// Old tokens, for as long as there are any: in a cookie they are traded for a session, once; in the `Authorization` header they
// go on until they expire, on the routes that have not been moved. docs/from-fastify-jwt.md says what that risks.
import { createHash } from 'node:crypto'
import { createVerifier } from 'fast-jwt'

const OWN_COOKIE = /(?:^|;)\s*(?:__(?:Host|Secure)-)?accounts_(?:access|refresh)=/

/** For so long the other requests of the same page may come with a cookie that has been traded. */
const OVERLAP_MS = 30_000

/**
 * @param {object} given
 * @param {string} given.jwtSecret what signed the old tokens
 * @param {Date} given.movedAt when the old server was stopped: what was signed later is forged
 * @param {Date} given.until from then on nothing old is taken
 * @param given.database where it is noted which tokens were traded
 * @param {import('fastify-accounts').UserStore} given.users
 */
export function createBridge ({ jwtSecret, movedAt, until, database, users }) {
  if (typeof jwtSecret !== 'string' || Buffer.byteLength(jwtSecret) < 32) throw new TypeError('jwtSecret must have 32 bytes: whoever guesses a shorter one can be anybody')
  if (![movedAt, until].every(date => date instanceof Date && !Number.isNaN(date.getTime()))) throw new TypeError('movedAt and until must be dates')
  // Each claim is asked for by name: a verifier takes what it is not told to refuse.
  const verify = createVerifier({ key: jwtSecret, algorithms: ['HS256'], checkTyp: 'JWT', requiredClaims: ['id', 'iat', 'exp'] })
  database.exec('create table if not exists traded_tokens (digest text primary key, traded_at integer not null)')
  const trades = new Map()

  /** Whom an old token names, as they are now; `null`: it is not good, or they are not. */
  async function readToken (token) {
    const claims = verified(token)
    const user = claims === null || Date.now() >= until.getTime() ? null : await users.find(String(claims.id))
    // The epoch of whoever has changed the password here, or was disabled in between, is another: what was before is void.
    return user === null || user.disabled || user.epoch !== 0 ? null : { user, issuedAt: new Date(claims.iat * 1000), expiresAt: new Date(claims.exp * 1000) }
  }

  function verified (token) {
    try {
      const claims = verify(token)
      return Number.isSafeInteger(claims.id) && claims.iat * 1000 <= movedAt.getTime() ? claims : null
    } catch {
      return null
    }
  }

  /** One statement: of all that come with a token, whoever is later than the overlap gets nothing. */
  function claim (token) {
    const now = Date.now()
    return database.prepare(`insert into traded_tokens (digest, traded_at) values (?, ?)
      on conflict (digest) do update set traded_at = traded_at where traded_at > ?`)
      .run(createHash('sha256').update(token).digest('hex'), now, now - OVERLAP_MS).changes === 1
  }

  return {
    readToken,

    /** `onRequest`, before any guard: the request goes on as if it had come with the cookies of a session. */
    async tradeCookie (request, reply) {
      const { cookie = '' } = request.headers
      const tokens = [...cookie.matchAll(/(?:^|;)\s*token=([^;]*)/g)].map(match => match[1])
      if (tokens.length === 0 || OWN_COOKIE.test(cookie)) return
      // Of two nobody knows which is ours.
      const cookies = tokens.length === 1 ? await tradeOnce(tokens[0], reply) : null
      reply.header('cache-control', 'no-store')
      reply.header('set-cookie', [...cookies ?? [], 'token=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax'])
      if (cookies !== null) request.headers = { cookie: [cookie, ...cookies.map(line => line.split(';', 1)[0])].join('; ') }
    }
  }

  /** A page sends many requests at once, and should not leave as many sessions. */
  async function tradeOnce (token, reply) {
    const known = trades.get(token)
    if (known !== undefined) return await known
    const begun = trade(token, reply)
    trades.set(token, begun)
    const forget = () => { trades.delete(token) }
    setTimeout(forget, OVERLAP_MS).unref()
    begun.catch(forget)
    return await begun
  }

  /** The lines of `Set-Cookie`; `null`: the token is no longer good. */
  async function trade (token, reply) {
    const found = await readToken(token)
    if (found === null || !claim(token)) return null
    // Nobody has typed a password just now, and the old cookie ended with the browser.
    await reply.signIn(found.user, { authenticatedAt: found.issuedAt, remember: false })
    const cookies = [reply.getHeader('set-cookie')].flat()
    reply.removeHeader('set-cookie')
    return cookies
  }
}

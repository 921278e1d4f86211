import fastifyCookie from '@fastify/cookie'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { CookieFacts } from '../../types/diagnosis.ts'
import { now } from '../clock.ts'
import { FST_ACCOUNTS_COOKIE_DUPLICATE, FST_ACCOUNTS_COOKIE_TOO_LARGE } from '../errors.ts'
import type { Settings } from '../options/index.ts'
import { forbidStorage } from '../requests/caching.ts'
import { createReadCookie, DUPLICATE, type ReadCookie } from '../requests/cookie-header.ts'
import type { Minted } from '../tokens/tokens.ts'

export interface Cookies {
  /** The access and the refresh cookie, but for their values. */
  readonly facts: Readonly<Record<'access' | 'refresh', CookieFacts>>
  readonly readAccess: ReadCookie
  readonly readRefresh: ReadCookie
  readonly readDevice: ReadCookie
  /** Set one or both cookies; without `remember` they end with the browser, else with their token. */
  set (reply: FastifyReply, tokens: { readonly access: Minted, readonly refresh: Minted | null }, remember: boolean): void
  /** Set the cookie of a known browser; `maxAge` in seconds: 0 clears it, `null` lets it end with the browser. */
  setDevice (reply: FastifyReply, value: string, maxAge: number | null): void
  /** Clear both cookies of a session, with the attributes that they were set with. */
  clear (reply: FastifyReply): void
  /** The token in it, or `null`. One that came twice is refused and both are cleared: which is ours? @throws {FST_ACCOUNTS_COOKIE_DUPLICATE} */
  takeAccess (request: FastifyRequest, reply: FastifyReply): string | null
  takeRefresh (request: FastifyRequest, reply: FastifyReply): string | null
}

/** RFC 6265bis, 5.6: browsers drop a cookie whose name and value together are larger. */
const MAX_COOKIE_BYTES = 4096

/**
 * The two cookies of a session (RFC 6265bis): `__Host-` (or `__Secure-`) names over https, HttpOnly, never decided by
 * a request. Written with the host's `@fastify/cookie` if there is one, else with one of our own in an encapsulated
 * child; read by ourselves, so a host pays for no parsing that it did not ask for.
 */
export async function createCookies (app: FastifyInstance, settings: Pick<Settings, 'cookies' | 'refresh' | 'appPath'>, routesPath: string): Promise<Cookies> {
  const serialize = await loadSerializer(app)
  const { secure, domain, sameSite, names } = settings.cookies
  const base = { httpOnly: true, secure, sameSite, ...(domain === undefined ? {} : { domain }) }
  const describe = (name: string, path: string) => ({ name: prefixFor(secure, domain, path) + name, attributes: { ...base, path } })
  const access = describe(names.access, '/')
  const refresh = describe(names.refresh, settings.refresh === 'explicit' ? routesPath : '/')
  // Also for a host's own login route, wherever that is.
  const device = describe(names.device, '/')

  const factsOf = ({ name, attributes: { path } }: typeof access): CookieFacts => ({ name, path, domain: domain ?? null, secure, sameSite })

  const write = (reply: FastifyReply, cookie: typeof access, value: string, maxAge: number | null) => {
    const bytes = cookie.name.length + value.length
    if (bytes > MAX_COOKIE_BYTES) throw new FST_ACCOUNTS_COOKIE_TOO_LARGE(cookie.name, bytes)
    const others = [reply.getHeader('set-cookie') ?? []].flat().filter(other => !String(other).startsWith(`${cookie.name}=`)) as string[]
    // RFC 6265, 4.1.1: no cookie twice in one answer; what a guard has renewed may have changed again since.
    reply.removeHeader('set-cookie')
    reply.header('set-cookie', [...others, serialize(cookie.name, value, maxAge === null ? cookie.attributes : { ...cookie.attributes, maxAge })])
    forbidStorage(reply)
  }
  // Rounded up: 0 would mean "delete".
  const maxAge = (token: Minted) => Math.max(0, Math.ceil((token.expiresAt - now()) / 1000))

  const readAccess = createReadCookie(access.name)
  const readRefresh = createReadCookie(refresh.name)
  const clear = (reply: FastifyReply) => {
    write(reply, access, '', 0)
    write(reply, refresh, '', 0)
  }

  const single = (token: ReturnType<ReadCookie>, reply: FastifyReply): string | null => {
    if (token !== DUPLICATE) return token
    clear(reply)
    throw new FST_ACCOUNTS_COOKIE_DUPLICATE()
  }

  return {
    facts: { access: factsOf(access), refresh: factsOf(refresh) },
    readAccess,
    readRefresh,
    readDevice: createReadCookie(device.name),
    set (reply, tokens, remember) {
      write(reply, access, tokens.access.token, remember ? maxAge(tokens.access) : null)
      if (tokens.refresh !== null) write(reply, refresh, tokens.refresh.token, remember ? maxAge(tokens.refresh) : null)
    },
    setDevice (reply, value, maxAge) { write(reply, device, value, maxAge) },
    clear,
    takeAccess ({ headers: { cookie } }, reply) { return single(readAccess(cookie), reply) },
    takeRefresh ({ headers: { cookie } }, reply) { return single(readRefresh(cookie), reply) }
  }
}

async function loadSerializer (app: FastifyInstance): Promise<FastifyInstance['serializeCookie']> {
  if (app.hasDecorator('serializeCookie')) return app.serializeCookie
  let serialize: FastifyInstance['serializeCookie']
  await app.register(async child => {
    await child.register(fastifyCookie, { hook: false })
    serialize = child.serializeCookie
  })
  return serialize!
}

function prefixFor (secure: boolean, domain: string | undefined, path: string): string {
  if (!secure) return ''
  return domain === undefined && path === '/' ? '__Host-' : '__Secure-'
}

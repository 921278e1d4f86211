import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify'

export interface Client {
  /** What the browser would send: names to values. */
  readonly cookies: Record<string, string>
  request (method: string, url: string, body?: unknown, headers?: Record<string, string>): Promise<LightMyRequestResponse>
  get (url: string, headers?: Record<string, string>): Promise<LightMyRequestResponse>
  post (url: string, body?: unknown, headers?: Record<string, string>): Promise<LightMyRequestResponse>
  /** A second browser with the cookies of this one: what a thief has. */
  copy (): Client
}

/** A browser: it keeps the cookies that answers set, and forgets those that they clear. */
export function createClient (app: FastifyInstance, cookies: Record<string, string> = {}): Client {
  const request: Client['request'] = async (method, url, body, headers = {}) => {
    const response = await app.inject({ method: method as NonNullable<InjectOptions['method']>, url, headers: { ...cookieHeader(cookies), ...headers }, ...(body === undefined ? {} : { payload: body as object }) })
    for (const { name, value, maxAge } of response.cookies) {
      if (value === '' || maxAge === 0) delete cookies[name]
      else cookies[name] = value
    }
    return response
  }
  return {
    cookies,
    request,
    get: async (url, headers) => await request('GET', url, undefined, headers),
    post: async (url, body, headers) => await request('POST', url, body, headers),
    copy: () => createClient(app, { ...cookies })
  }
}

function cookieHeader (cookies: Record<string, string>): { cookie?: string } {
  const pairs = Object.entries(cookies).map(([name, value]) => `${name}=${value}`)
  return pairs.length === 0 ? {} : { cookie: pairs.join('; ') }
}

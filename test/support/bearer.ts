import type { FastifyInstance, LightMyRequestResponse } from 'fastify'
import { PASSWORD, type TestApp } from './app.ts'

export interface Grant { readonly access_token: string, readonly token_type: string, readonly expires_in: number, readonly refresh_token?: string }

/** What an API client sends: a form, unless it is told otherwise. */
export async function requestToken (app: FastifyInstance, parameters: Record<string, unknown>, { json = false, url = '/auth/token', headers = {} }: { readonly json?: boolean, readonly url?: string, readonly headers?: Record<string, string> } = {}): Promise<LightMyRequestResponse> {
  const payload = json ? JSON.stringify(parameters) : new URLSearchParams(parameters as Record<string, string>).toString()
  return await app.inject({ method: 'POST', url, payload, headers: { 'content-type': json ? 'application/json' : 'application/x-www-form-urlencoded', ...headers } })
}

export const byPassword = async (app: FastifyInstance, username: string, password = PASSWORD) => await requestToken(app, { grant_type: 'password', username, password })
export const byRefresh = async (app: FastifyInstance, token: string) => await requestToken(app, { grant_type: 'refresh_token', refresh_token: token })

/** An account, and the tokens of a session that its owner has begun without a browser. */
export async function granted ({ app }: Pick<TestApp, 'app'>, email = 'ada@example.com'): Promise<Required<Grant>> {
  await app.accounts.users.create({ email, password: PASSWORD, emailVerified: true })
  return (await byPassword(app, email)).json()
}

/** A client with a token and no cookies. */
export function createApiClient (app: FastifyInstance, token: string) {
  const request = async (method: 'GET' | 'POST' | 'PATCH' | 'DELETE', url: string, payload?: object, headers: Record<string, string> = {}) =>
    await app.inject({ method, url, headers: { authorization: `Bearer ${token}`, ...headers }, ...(payload === undefined ? {} : { payload }) })
  return {
    request,
    get: async (url: string, headers?: Record<string, string>) => await request('GET', url, undefined, headers),
    post: async (url: string, payload?: object, headers?: Record<string, string>) => await request('POST', url, payload, headers)
  }
}

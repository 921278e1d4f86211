import type { FastifyInstance, LightMyRequestResponse } from 'fastify'
import type { PersonalToken } from '../../types/index.ts'
import type { Client } from './client.ts'

export interface MadeToken { readonly token: string, readonly personalToken: PersonalToken }

/** Make a token by `POST /auth/tokens`; whatever is refused is an error. */
export async function makeToken (browser: Client, fields: object = {}): Promise<MadeToken> {
  const answer = await browser.post('/auth/tokens', { name: 'reports', context: 'server', ...fields })
  if (answer.statusCode !== 201) throw new TypeError(`making a token answered ${answer.body}`)
  return answer.json<MadeToken>()
}

interface Use { readonly method?: string, readonly url?: string, readonly from?: string, readonly scheme?: string, readonly headers?: Record<string, string> }

/** Use a token as a script does: no cookies. */
export async function useToken (app: FastifyInstance, token: string, { method = 'GET', url = '/private', from = '127.0.0.1', scheme = 'ApiToken', headers = {} }: Use = {}): Promise<LightMyRequestResponse> {
  return await app.inject({ method: method as 'GET', url, remoteAddress: from, headers: { authorization: `${scheme} ${token}`, ...headers } })
}

export const statusOf = async (...use: Parameters<typeof useToken>): Promise<number> => (await useToken(...use)).statusCode

import type { Client } from './client.ts'

export interface Claims {
  readonly sid: string
  readonly gen: number
  readonly sub: string
  readonly iat: number
  readonly exp: number
}

/** What a token of ours says, unchecked. */
export function claimsOf (token: string | undefined): Claims {
  return JSON.parse(Buffer.from(token?.split('.')[1] ?? '', 'base64url').toString()) as Claims
}

const named = (cookies: Record<string, string>, kind: 'access' | 'refresh') =>
  Object.entries(cookies).find(([name]) => name.endsWith(`accounts_${kind}`))?.[1]

export const accessOf = ({ cookies }: Pick<Client, 'cookies'>): Claims => claimsOf(named(cookies, 'access'))
export const refreshOf = ({ cookies }: Pick<Client, 'cookies'>): Claims => claimsOf(named(cookies, 'refresh'))
export const sessionIdOf = (client: Pick<Client, 'cookies'>): string => refreshOf(client).sid

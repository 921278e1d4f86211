import type { Fetch } from './connection.ts'

/** RFC 9110, 9.2.1. */
const SAFE_METHODS = /^(GET|HEAD|OPTIONS|TRACE)$/i

/**
 * For `csrf: 'strict'`: whatever may change something carries the token of the last answer that had one. It is held in
 * memory alone; after a page was loaded `me` brings another.
 */
export function withCsrfToken (fetch: Fetch): Fetch {
  let token: string | null = null
  return async (input, init = {}) => {
    const { method = input instanceof Request ? input.method : 'GET' } = init
    const headers = new Headers(init.headers)
    if (token !== null && !SAFE_METHODS.test(method)) headers.set('accounts-csrf', token)
    const response = await fetch(input, { ...init, headers })
    token = response.headers.get('accounts-csrf') ?? token
    return response
  }
}

import { Agent, request } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'

/** Far more than any answer may take, but for those of who waits in a queue. */
const PATIENCE_MS = 6000

/**
 * A well-behaved client of several servers: it keeps cookies, and after a 503 it comes back when it was told to.
 * @param {string} name
 * @param {import('./history.js').Entry[]} history of what it does
 * @param {number} [patienceMs]
 */
export function createClient (name, history, patienceMs = PATIENCE_MS) {
  const agent = new Agent({ keepAlive: true })
  const client = { name, cookies: {}, comeBackAt: 0, send, persist, enter, refresh, logout, haunt, close: () => agent.destroy() }

  /** Send once, and note what came of it; `cookies` are those of the client, or others that it has kept. */
  async function send (op, port, method, path, { body, cookies = client.cookies, value } = {}) {
    const token = sessionOf(cookies)
    const t0 = Date.now()
    const answer = await exchange({ port, method, path, agent, timeout: patienceMs }, cookies, body)
    const result = resultOf(answer, op)
    for (const [cookie, text] of answer.cookies) {
      if (text === '') delete cookies[cookie]
      else cookies[cookie] = text
    }
    history.push({ t0, t1: Date.now(), client: name, op, token, result, ...(value === undefined ? {} : { value }) })
    client.comeBackAt = result === 'unavailable' ? Date.now() + 1000 * Number(answer.headers['retry-after'] ?? NaN) : 0
    return { ...answer, result }
  }

  /** Until there is an answer. */
  async function persist (attempt, signal) {
    for (;;) {
      const answer = await attempt()
      if (!['unavailable', 'silent'].includes(answer.result) || signal?.aborted === true) return answer
      await pause(Math.max(0, client.comeBackAt - Date.now()), undefined, { signal }).catch(() => {})
    }
  }

  async function enter (port) {
    return await send('enter', port, 'GET', '/private')
  }

  async function refresh (port) {
    return await send('refresh', port, 'POST', '/auth/refresh')
  }

  async function logout (port, signal) {
    return await persist(async () => await send('logout', port(), 'POST', '/auth/logout'), signal)
  }

  /** Come with the cookies of a session that has ended. */
  async function haunt (port, cookies) {
    const isTrading = Math.random() < 0.5
    return await send(isTrading ? 'refresh' : 'enter', port, isTrading ? 'POST' : 'GET', isTrading ? '/auth/refresh' : '/private', { cookies: { ...cookies } })
  }

  return client
}

/** What a refresh token says of itself. */
export const readRefresh = ({ accounts_refresh: token }) => token === undefined ? {} : JSON.parse(Buffer.from(token.split('.')[1], 'base64url').toString())

export const sessionOf = cookies => readRefresh(cookies).sid ?? ''

function resultOf ({ status, cookies }, op) {
  if (op !== 'logout' && cookies.some(([name, value]) => name !== 'accounts_device' && value === '')) return 'cleared'
  if (status === 0) return 'silent'
  if (status >= 200 && status < 300) return 'ok'
  return { 401: 'refused', 503: 'unavailable' }[status] ?? String(status)
}

async function exchange (options, cookies, body) {
  const cookie = Object.entries(cookies).map(([name, value]) => `${name}=${value}`).join('; ')
  const headers = { ...(cookie === '' ? {} : { cookie }), ...(body === undefined ? {} : { 'content-type': 'application/json' }) }
  for (;;) {
    const { answer, wasGone } = await new Promise(resolve => {
      const sent = request({ host: '127.0.0.1', headers, ...options }, response => {
        let text = ''
        const fail = () => resolve({ answer: { status: 0, headers: {}, cookies: [] } })
        response.setEncoding('utf8').on('data', chunk => { text += chunk }).on('error', fail).on('end', () => resolve({
          answer: { status: response.statusCode, headers: response.headers, text, cookies: (response.headers['set-cookie'] ?? []).map(line => /^([^=]+)=([^;]*)/.exec(line).slice(1)) }
        }))
      })
      sent.on('timeout', () => sent.destroy())
      // RFC 9112, 9.3.1: a connection that was kept may be gone when it is used again.
      sent.on('error', ({ code }) => resolve({ answer: { status: 0, headers: {}, cookies: [] }, wasGone: sent.reusedSocket && (code === 'ECONNRESET' || code === 'EPIPE') }))
      sent.end(body === undefined ? undefined : JSON.stringify(body))
    })
    if (wasGone !== true) return answer
  }
}

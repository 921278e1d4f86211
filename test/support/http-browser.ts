import { Agent, request as httpRequest } from 'node:http'
import type { Test } from 'tap'

export interface Answer { readonly status: number, readonly headers: Record<string, string | string[] | undefined>, readonly body: string }

/** A browser on a real network: cookies, and one connection that is kept. */
export interface HttpBrowser {
  readonly cookies: Record<string, string>
  post (port: number, path: string, body?: object): Promise<Answer>
  get (port: number, path: string): Promise<Answer>
  close (): void
}

export function createHttpBrowser (t: Test): HttpBrowser {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.teardown(() => agent.destroy())
  const cookies: Record<string, string> = {}
  const send = async (port: number, method: string, path: string, body?: object) => await new Promise<Answer>((resolve, reject) => {
    const cookie = Object.entries(cookies).map(([name, value]) => `${name}=${value}`).join('; ')
    const headers = { cookie, ...(body === undefined ? {} : { 'content-type': 'application/json' }) }
    const request = httpRequest({ host: '127.0.0.1', port, method, path, agent, headers }, response => {
      let text = ''
      response.setEncoding('utf8').on('data', chunk => { text += chunk }).on('error', reject).on('end', () => {
        for (const line of response.headers['set-cookie'] ?? []) {
          const [, name, value] = /^([^=]+)=([^;]*)/.exec(line)!
          cookies[name!] = value!
        }
        resolve({ status: response.statusCode!, headers: response.headers, body: text })
      })
    })
    request.on('error', reject)
    request.end(body === undefined ? undefined : JSON.stringify(body))
  })
  return {
    cookies,
    post: async (port, path, body) => await send(port, 'POST', path, body),
    get: async (port, path) => await send(port, 'GET', path),
    close: () => agent.destroy()
  }
}

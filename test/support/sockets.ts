import { once } from 'node:events'
import type { Test } from 'tap'
import { WebSocket, type RawData } from 'ws'

export interface Answer { readonly statusCode: number, readonly body: string }

/** How a connection ended, and when (milliseconds, monotonic). */
interface Ended<Last> { readonly last: Last, readonly at: number }

export interface OpenSocket {
  readonly socket: WebSocket
  /** The code and the reason of the close frame. */
  readonly ended: Promise<Ended<{ readonly code: number, readonly reason: string }>>
  say (text: string): Promise<string>
}

/** A WebSocket that is open, or the answer by which its handshake was refused. It is cut off with the test. */
export async function openSocket (t: Test, origin: string, path: string, headers: Record<string, string> = {}): Promise<OpenSocket | Answer> {
  const socket = new WebSocket(origin.replace(/^http/, 'ws') + path, { headers, handshakeTimeout: 5000 })
  t.teardown(() => { socket.terminate() })
  const ended = new Promise<Awaited<OpenSocket['ended']>>(resolve => {
    socket.on('close', (code, reason) => resolve({ last: { code, reason: String(reason) }, at: performance.now() }))
  })
  return await new Promise((resolve, reject) => {
    socket.on('error', reject)
    socket.on('unexpected-response', (_request, response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => resolve({ statusCode: response.statusCode!, body: Buffer.concat(chunks).toString() }))
    })
    socket.on('open', () => resolve({
      socket,
      ended,
      async say (text) {
        const answer = once(socket, 'message') as Promise<[RawData]>
        socket.send(text)
        return String((await answer)[0])
      }
    }))
  })
}

/** What a handshake answered: 101 or the refusal. */
export async function shake (t: Test, origin: string, path: string, headers: Record<string, string> = {}): Promise<number> {
  const opened = await openSocket(t, origin, path, headers)
  if ('statusCode' in opened) return opened.statusCode
  opened.socket.terminate()
  return 101
}

export interface OpenStream {
  readonly response: Response
  /** All that came, once the server has ended the stream. */
  readonly ended: Promise<Ended<string>>
}

/** A stream of events that has begun, as an `EventSource` would read it. */
export async function openStream (origin: string, path: string, headers: Record<string, string> = {}): Promise<OpenStream> {
  const response = await fetch(origin + path, { headers: { accept: 'text/event-stream', ...headers } })
  return { response, ended: response.text().then(last => ({ last, at: performance.now() })) }
}

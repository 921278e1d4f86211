import { connect } from 'node:net'
import type { FastifyInstance } from 'fastify'

export interface RawAnswer {
  readonly statusCode: number
  /** Lower-case names to the values of all their lines. */
  readonly headers: ReadonlyMap<string, readonly string[]>
  readonly body: string
}

/** Send bytes as they are, over a connection of their own, and read until the server closes it. */
export type SendRaw = (lines: readonly string[], body?: string | Uint8Array) => Promise<RawAnswer>

/** Let the app listen; what clients that check nothing would send can then be sent. */
export async function listenRaw (app: FastifyInstance): Promise<SendRaw> {
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as { port: number }
  return async (lines, body = '') => await send(port, Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), Buffer.from(body as string)]))
}

/** The lines of a request, with `Host`, `Connection` and, for a body, `Content-Length`, unless `headers` say otherwise. */
export function requestLines (method: string, path: string, headers: readonly string[] = [], body: string | Uint8Array = ''): string[] {
  const has = (name: string) => headers.some(line => line.toLowerCase().startsWith(`${name}:`))
  return [
    `${method} ${path} HTTP/1.1`,
    ...(has('host') ? [] : ['Host: localhost:3000']),
    ...(body.length === 0 || has('content-length') || has('transfer-encoding') ? [] : [`Content-Length: ${Buffer.byteLength(body)}`]),
    ...headers,
    'Connection: close'
  ]
}

async function send (port: number, bytes: Buffer): Promise<RawAnswer> {
  const chunks: Buffer[] = []
  await new Promise<void>((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => { socket.write(bytes) })
    socket.setTimeout(10_000, () => socket.destroy(new Error('no answer within 10 s')))
    socket.on('data', chunk => chunks.push(chunk))
    socket.on('close', () => resolve())
    // A server that refuses before it has read everything resets the connection; what it said before counts.
    socket.on('error', error => chunks.length === 0 ? reject(error) : resolve())
  })
  return parse(Buffer.concat(chunks).toString('latin1'))
}

function parse (text: string): RawAnswer {
  const end = text.indexOf('\r\n\r\n')
  const [status = '', ...lines] = text.slice(0, end).split('\r\n')
  const headers = new Map<string, string[]>()
  for (const line of lines) {
    const name = line.slice(0, line.indexOf(':')).toLowerCase()
    headers.set(name, [...headers.get(name) ?? [], line.slice(line.indexOf(':') + 1).trim()])
  }
  return { statusCode: Number(status.split(' ')[1]), headers, body: text.slice(end + 4) }
}

import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { SMTPServer, type SMTPServerAddress, type SMTPServerSession } from 'smtp-server'
import type { Test } from 'tap'
import { CERTIFICATE, KEY } from './certificate.ts'
import { readMail, type ReadMail } from './read-mail.ts'

type Step = 'connect' | 'login' | 'sender' | 'recipient' | 'data'

interface SmtpOptions {
  /** @default 'starttls' */
  readonly tls?: 'none' | 'starttls' | 'implicit'
  /** Who may send; left out: everybody. */
  readonly user?: { readonly name: string, readonly password: string }
  /** A server that knows no international addresses (RFC 6531). */
  readonly hideSmtpUtf8?: boolean
}

/** What goes wrong, from now on. */
type SmtpTrouble =
  | { readonly refuse: Step, readonly code: number, readonly reply?: string }
  /** `silence`: connections are taken, and nothing is said. `tarpit`: a greeting, then an answer that never ends, a byte at a time. */
  | 'silence' | 'tarpit'
  /** The connection is cut when the message has begun to arrive. `cut after data`: when it has arrived whole. */
  | 'cut in data' | 'cut after data'

interface ReceivedMail extends ReadMail {
  /** The addresses of the envelope: MAIL FROM, and each RCPT TO. */
  readonly from: string
  readonly to: readonly string[]
  readonly raw: string
  /** Whether the client was gone before it was told that its message is accepted. */
  readonly abandoned: boolean
  /** Whether it came over TLS, and as which user. */
  readonly secure: boolean
  readonly user: string | null
}

export interface Smtp {
  readonly host: '127.0.0.1'
  readonly port: number
  /** What was accepted, in order. */
  readonly messages: ReceivedMail[]
  /** How many connections were opened, and how many messages were begun. */
  readonly counts: { connections: number, begun: number }
  /** Connections that are open. */
  open (): number
  trouble (trouble: SmtpTrouble | null): void
  /** Wait until this many messages have been accepted. */
  received (count: number): Promise<readonly ReceivedMail[]>
  /** Refuse connections, cutting those that there are. */
  stop (): Promise<void>
  /** Listen again, on the same port. */
  start (): Promise<void>
}

/** Start an SMTP server on a free port of 127.0.0.1; it ends with the test. */
export async function startSmtp (t: Test, { tls = 'starttls', user, hideSmtpUtf8 = false }: SmtpOptions = {}): Promise<Smtp> {
  const messages: ReceivedMail[] = []
  const counts = { connections: 0, begun: 0 }
  const waiting: Array<() => void> = []
  const sockets = new Set<Socket>()
  /** By the port from which the network in front of the server calls it. */
  const clients = new Set<number>()
  let trouble: SmtpTrouble | null = null

  const refusal = (step: Step) => typeof trouble === 'object' && trouble?.refuse === step ? Object.assign(new Error(trouble.reply ?? 'as the test has it'), { responseCode: trouble.code }) : null
  const cut = () => { for (const socket of sockets) socket.destroy() }

  const server = new SMTPServer({
    logger: false,
    disableReverseLookup: true,
    hideSMTPUTF8: hideSmtpUtf8,
    secure: tls === 'implicit',
    key: KEY,
    cert: CERTIFICATE,
    allowInsecureAuth: true,
    authOptional: user === undefined,
    disabledCommands: [...(tls === 'none' ? ['STARTTLS'] : []), ...(user === undefined ? ['AUTH'] : [])],
    onConnect: (_session, done) => done(refusal('connect')),
    onAuth: ({ username, password }, _session, done) => {
      const error = refusal('login') ?? (username === user?.name && password === user?.password ? null : Object.assign(new Error('wrong user or password'), { responseCode: 535 }))
      if (error === null) done(null, { user: username })
      else done(error)
    },
    onMailFrom: (_address, _session, done) => done(refusal('sender')),
    onRcptTo: (_address, _session, done) => done(refusal('recipient')),
    onData (stream, session, done) {
      counts.begun++
      if (trouble === 'cut in data') return cut()
      void (async () => {
        const raw = (await buffer(stream)).toString('latin1')
        if (trouble === 'cut after data') return cut()
        const error = refusal('data')
        if (error !== null) return done(error)
        messages.push({ ...readMail(raw), ...envelopeOf(session), raw, abandoned: !clients.has((session as { remotePort?: number }).remotePort!) })
        done()
        for (const wake of waiting.splice(0)) wake()
        // The client has gone in the middle of its message.
      })().catch(() => {})
    }
  })
  server.on('error', () => {})
  server.listen(0, '127.0.0.1')
  await once(server.server, 'listening')
  t.teardown(() => { server.close() })

  // A network in front of it, that can be cut: the socket below a TLS socket of this process can't (Node 20 crashes).
  const front = createServer(socket => {
    counts.connections++
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket)).on('error', () => {})
    if (trouble === 'silence') return
    if (trouble === 'tarpit') return drip(socket)
    const upstream = connect((server.server.address() as AddressInfo).port, '127.0.0.1')
    upstream.on('error', () => {}).on('close', () => socket.destroy())
    upstream.once('connect', () => {
      const port = upstream.localPort!
      clients.add(port)
      socket.once('close', () => clients.delete(port))
    })
    socket.on('close', () => upstream.destroy())
    socket.pipe(upstream).pipe(socket)
  })
  const start = async (port: number) => {
    front.listen(port, '127.0.0.1')
    await once(front, 'listening')
  }
  const stop = async () => {
    cut()
    if (!front.listening) return
    front.close()
    await once(front, 'close')
  }
  await start(0)
  t.teardown(stop)
  const { port } = front.address() as AddressInfo
  return {
    host: '127.0.0.1',
    port,
    messages,
    counts,
    open: () => sockets.size,
    trouble (next) { trouble = next },
    async received (count) {
      while (messages.length < count) await new Promise<void>(resolve => { waiting.push(resolve) })
      return messages
    },
    stop,
    start: async () => await start(port)
  }
}

const envelopeOf = ({ envelope, secure, user }: SMTPServerSession) => ({
  from: (envelope.mailFrom as SMTPServerAddress).address,
  to: envelope.rcptTo.map(({ address }) => address),
  secure,
  user: typeof user === 'string' ? user : null
})

/** Always about to go on: whoever waits for a silence only waits for ever. */
function drip (socket: Socket): void {
  let at = 0
  socket.write('220 hello\r\n')
  socket.once('data', () => {
    const timer = setInterval(() => socket.write('250-please hold the line\r\n'[at++ % 26]!), 20)
    socket.once('close', () => clearInterval(timer))
  })
}

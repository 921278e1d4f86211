import SMTPConnection from 'nodemailer/lib/smtp-connection'
import { FST_ACCOUNTS_OPTION_INVALID } from '../../errors.ts'

/** How to reach an SMTP server. */
export interface SmtpOptions {
  readonly host: string
  /** @default 587, or 465 with `secure: true` */
  readonly port?: number
  readonly user?: string
  readonly password?: string
  /** TLS from the first byte. @default port === 465 */
  readonly secure?: boolean
  /**
   * Send nothing, not even the password, before the server has changed to TLS (`STARTTLS`). Where it is `false`, TLS is
   * used if the server offers it, whatever its certificate (RFC 7435).
   * @default true; false on port 25 without a password, and for a server on this machine unless its port is 587
   */
  readonly requireTls?: boolean
  /** Accept any certificate: whoever is in between can read passwords and mail. Warns at every start. @default false */
  readonly allowUnauthorizedCerts?: boolean
  /** Keep connections open for the next mail. @default true */
  readonly pool?: boolean
  /** @default 5 */
  readonly maxConnections?: number
}

const KNOWN = ['host', 'port', 'user', 'password', 'secure', 'requireTls', 'allowUnauthorizedCerts', 'pool', 'maxConnections']
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|::1)$/i

/** A connection that nobody uses is given up, before a firewall forgets it in silence. */
const IDLE_MS = 30_000

/** The options of nodemailer, none of which leaves anything to its defaults that matters. */
export type Settings = ReturnType<typeof resolveSmtp>

/** @param timeout milliseconds for each step @throws {FST_ACCOUNTS_OPTION_INVALID} naming the option, never its value */
export function resolveSmtp (options: SmtpOptions, timeout: number) {
  for (const name of Object.keys(options)) if (!KNOWN.includes(name)) refuse(name, 'is unknown')
  const { host, port: givenPort = options.secure === true ? 465 : 587, user, password, maxConnections = 5 } = options
  if (typeof host !== 'string' || !/^[A-Za-z0-9._:-]{1,253}$/.test(host)) refuse('host', 'must be the name or address of a server')
  const port = integer(givenPort, 65_535, 'port')
  for (const [name, value] of Object.entries({ user, password })) if (value !== undefined && (typeof value !== 'string' || value === '')) refuse(name, 'must be a text')
  if ((user === undefined) !== (password === undefined)) refuse(user === undefined ? 'user' : 'password', 'is missing: there must be both or none')

  const isNear = LOOPBACK.test(host)
  const secure = boolean(options.secure, port === 465, 'secure')
  if (secure && options.requireTls === false) refuse('requireTls', 'contradicts secure')
  const mayBePlain = isNear ? port !== 587 : port === 25 && password === undefined
  const requireTLS = boolean(options.requireTls, !mayBePlain, 'requireTls')
  if (!secure && !requireTLS && password !== undefined && !isNear) refuse('requireTls', 'can\'t be false: the password would cross the network for all to read')
  const allowUnauthorized = boolean(options.allowUnauthorizedCerts, false, 'allowUnauthorizedCerts')
  const isVerified = (secure || requireTLS) && !allowUnauthorized
  return {
    host,
    port,
    secure,
    requireTLS: !secure && requireTLS,
    opportunisticTLS: !secure && !requireTLS,
    tls: { rejectUnauthorized: isVerified },
    ...(user === undefined ? {} : { auth: { user, pass: password } }),
    // Else a server that offers no login would get the mail without one.
    forceAuth: user !== undefined,
    pool: boolean(options.pool, true, 'pool'),
    maxConnections: integer(maxConnections, 100, 'maxConnections'),
    // Whether to send again is for the outbox to say, which knows what has been sent.
    maxRequeues: 0,
    idleTimeout: IDLE_MS,
    connectionTimeout: timeout,
    dnsTimeout: timeout,
    greetingTimeout: timeout,
    socketTimeout: timeout,
    // All has been said by then: what is dropped is gone at once.
    socketCloseTimeout: 0,
    logger: false as const,
    disableFileAccess: true,
    disableUrlAccess: true
  }
}

/** Connect, log in and say goodbye; `signal` drops the connection. */
export async function greet (settings: Settings, signal: AbortSignal): Promise<void> {
  const connection = new SMTPConnection(settings)
  const close = () => connection.close()
  signal.addEventListener('abort', close, { once: true })
  try {
    await new Promise<void>((resolve, reject) => {
      const done = (error?: Error | null) => error ? reject(error) : resolve()
      connection.on('error', reject)
      connection.once('end', () => reject(new TypeError('the server has closed the connection')))
      connection.connect(error => {
        if (error || settings.auth === undefined) return done(error)
        connection.login(settings.auth, done)
      })
    })
    connection.quit()
  } catch (error) {
    close()
    throw error
  }
}

function boolean (value: unknown, byDefault: boolean, option: string): boolean {
  if (value === undefined) return byDefault
  return typeof value === 'boolean' ? value : refuse(option, `must be true or false, not ${typeof value}`)
}

function integer (value: unknown, max: number, option: string): number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 1 && value <= max ? value : refuse(option, `must be a whole number from 1 to ${max}`)
}

function refuse (option: string, why: string): never {
  throw new FST_ACCOUNTS_OPTION_INVALID(`smtp.${option}`, why)
}

import { FST_ACCOUNTS_MAIL_FAILED } from '../../errors.ts'

/** What nodemailer rejects with, as far as it is needed. */
interface Rejection {
  readonly message?: unknown
  readonly code?: unknown
  readonly command?: unknown
  /** The server's last word, which begins with its code. */
  readonly response?: unknown
  readonly responseCode?: unknown
}

/** A rejection with words of ours: nodemailer's own may repeat what a server says to a login. */
export function describeFailure (thrown: unknown): Error {
  if (thrown instanceof FST_ACCOUNTS_MAIL_FAILED) return thrown
  const rejection = (thrown ?? {}) as Rejection
  const { code, command, response, message } = rejection
  const answer = typeof response === 'string' ? line(response) : ''
  // Some servers repeat what they were sent.
  const isLogin = code === 'EAUTH' || (typeof command === 'string' && command.startsWith('AUTH'))
  const words = isLogin ? `the login was refused ${/^\d{3}( \d\.\d{1,3}\.\d{1,3})?/.exec(answer)?.[0] ?? ''}` : answer === '' ? line(String(message)) : `the server answered ${answer}`
  return failure(`${words.trim()}${typeof command === 'string' ? ` (${line(command)})` : ''}`, isPermanent(rejection))
}

export function failure (reason: string, permanent: boolean): Error {
  return Object.assign(new FST_ACCOUNTS_MAIL_FAILED(reason), { permanent })
}

/**
 * Whether this address will never take this mail (RFC 5321, 4.2.1; RFC 3463). What a server has against the sender, the
 * login or the policy of the day (X.7) is for the operator to mend, and the mail is to go out then.
 */
function isPermanent ({ command, response, responseCode }: Rejection): boolean {
  if (typeof responseCode !== 'number' || responseCode < 500 || responseCode === 503) return false
  const status = /^\d{3}[ -](5\.\d{1,3}\.\d{1,3})/.exec(String(response))?.[1] ?? ''
  return command === 'RCPT TO' ? !status.startsWith('5.7.') : command === 'DATA' && status.startsWith('5.1.')
}

const line = (text: string) => text.replace(/[\p{C}\p{Zl}\p{Zp}]+/gu, ' ').trim().slice(0, 300)

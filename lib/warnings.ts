import type { FastifyInstance } from 'fastify'
import { warnOfBasic } from './accounts/basic.ts'
import type { Settings } from './options/index.ts'
import type { TrustedProxies } from './requests/network.ts'
import { warnOfSlowRequests } from './requests/slow.ts'

/** Say at the start what is allowed, and dangerous all the same. */
export function warnOfSettings (app: FastifyInstance, { cookies, basic }: Pick<Settings, 'cookies' | 'basic'>, trustProxy: TrustedProxies): void {
  if (cookies.insecure) app.log.warn('fastify-accounts: cookies.insecure is set: whoever can listen on the network can take over sessions')
  if (trustProxy === 'everybody') app.log.warn('fastify-accounts: trustProxy is true or trusts every address, so whoever sends x-forwarded-for chooses the address that limits are about: set it to the addresses of the proxy')
  if (basic !== null) warnOfBasic(basic, cookies.insecure, app.log)
  warnOfSlowRequests(app)
}

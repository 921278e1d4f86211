import { createHmac, timingSafeEqual } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { now } from '../clock.ts'
import { randomId } from '../random.ts'
import type { Key } from '../tokens/secrets.ts'
import type { Cookies } from './cookies.ts'

/**
 * Browsers in which a user has signed in before. That one is known proves nothing about who sits at it; its attempts to
 * sign in to that one account are counted apart from those of strangers.
 */
export interface Devices {
  /** The id of a browser that is known to this user, else `null`. */
  find (request: FastifyRequest | null, userId: string): string | null
  /** Make the browser known; without `remember` until it is closed. */
  remember (reply: FastifyReply, userId: string, remember: boolean): void
  forget (reply: FastifyReply): void
}

const LIFETIME_SECONDS = 365 * 24 * 3600

/** The id, when it ends in seconds since 1970, and the signature over both and the user. */
const TOKEN = /^([\w-]{24})\.(\d{10})\.([\w-]{43})$/

export function createDevices (cookies: Pick<Cookies, 'readDevice' | 'setDevice'>, keys: readonly Key[]): Devices {
  // What has no fixed length comes last, so that no two readings sign the same text.
  const sign = (key: Key, id: string, end: string, userId: string) => createHmac('sha256', key.bytes).update(`device:${id}:${end}:${userId}`).digest('base64url')
  return {
    find (request, userId) {
      const token = cookies.readDevice(request?.headers.cookie)
      const match = typeof token === 'string' ? TOKEN.exec(token) : null
      if (match === null) return null
      const [, id, end, signature] = match as unknown as [string, string, string, string]
      const isOurs = keys.some(key => timingSafeEqual(Buffer.from(sign(key, id, end, userId)), Buffer.from(signature)))
      return isOurs && Number(end) * 1000 > now() ? id : null
    },
    remember (reply, userId, remember) {
      const id = randomId()
      const end = String(Math.floor(now() / 1000) + LIFETIME_SECONDS)
      cookies.setDevice(reply, `${id}.${end}.${sign(keys[0]!, id, end, userId)}`, remember ? LIFETIME_SECONDS : null)
    },
    forget (reply) {
      cookies.setDevice(reply, '', 0)
    }
  }
}

/** Without a throttle there is nothing to count apart. */
export const noDevices: Devices = { find: () => null, remember () {}, forget () {} }

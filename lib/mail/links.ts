import type { LinkOptions } from '../../types/options.ts'
import { FST_ACCOUNTS_OPTION_INVALID } from '../errors.ts'

/** Makers of the links in mail. They are given a token and nothing else: nothing of a request can flow into a link. */
export type Links = { readonly [Name in keyof LinkOptions]-?: (token: string) => string }

const PATHS: { readonly [Name in keyof Links]: string } = { resetPassword: 'reset-password', verifyEmail: 'verify-email', changeEmail: 'change-email' }

/** Like a real one in length and letters. */
const PROBE = 'probe-0123456789_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef'

/** Longer than this, some mail programs cut links. */
const MAX_LENGTH = 2000

/**
 * Make the makers, and try each. What a host's own function answers is checked again for each link.
 * @param appUrl without a slash at its end
 * @throws {FST_ACCOUNTS_OPTION_INVALID} naming the maker; so does each maker, later
 */
export function createLinks (appUrl: string, given: LinkOptions): Links {
  const { origin } = new URL(appUrl)
  const create = (name: keyof Links) => {
    const make = given[name] ?? (token => `${appUrl}/${PATHS[name]}?token=${encodeURIComponent(token)}`)
    const link = (token: string) => checkLink(make(token), token, origin, `links.${name}`)
    link(PROBE)
    return link
  }
  return { resetPassword: create('resetPassword'), verifyEmail: create('verifyEmail'), changeEmail: create('changeEmail') }
}

/** The link as browsers write it. The messages never repeat it: it holds a secret. */
function checkLink (link: unknown, token: string, origin: string, option: string): string {
  const refuse = (why: string): never => { throw new FST_ACCOUNTS_OPTION_INVALID(option, why) }
  if (typeof link !== 'string') return refuse(`must make a text, not ${typeof link}`)
  const url = URL.canParse(link) ? new URL(link) : refuse('must make a URL, with its origin')
  if (url.origin !== origin || url.username !== '' || url.password !== '') refuse('must make URLs of the origin of appUrl')
  if (url.href.split(encodeURIComponent(token)).length !== 2) refuse('must make URLs in which the token stands once')
  return url.href.length <= MAX_LENGTH ? url.href : refuse(`must make URLs of at most ${MAX_LENGTH} characters`)
}

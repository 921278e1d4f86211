import type { NewPersonalToken, PersonalToken } from '../../types/index.ts'
import { now } from '../../lib/clock.ts'
import { parseDuration } from '../../lib/duration.ts'
import { failure, usageError, type Command, type Options } from './command.ts'
import { toTable } from './printable.ts'
import { SERVER_FILE } from './load-server.ts'
import { DATABASE_OPTIONS } from './storage.ts'
import { requireUser, withAccounts } from './with-accounts.ts'

const isServerLoaded: Command['isServerLoaded'] = ({ app }) => app !== undefined

export const createToken: Command = {
  usage: 'WHO --app FILE --name NAME --context server|browser [--expires 30d|MOMENT] [--method METHOD]... [--ip NETWORK]... [--referrer ORIGIN]... [--scope SCOPE]...',
  summary: `make a personal token, and print it this once; ${SERVER_FILE}`,
  words: 1,
  options: ['app', 'name', 'context', 'expires', 'method', 'ip', 'referrer', 'scope', 'json'],
  isServerLoaded,
  async run (options, [who]) {
    // The digest of a token is keyed with the secret of the server that is to know it.
    if (options.app === undefined) throw usageError('Which server? Give --app FILE.')
    const wanted = readToken(options)
    return await withAccounts(options, async accounts => {
      const { id, email } = await requireUser(accounts, who)
      const created = await accounts.personalTokens.create(id, wanted)
      if (created === null) throw failure(`${email} is disabled.`)
      const { token, personalToken } = created
      return { text: token, json: created, note: `Made the token ${personalToken.id} of ${email}, good until ${personalToken.expiresAt.toISOString()}. It is not shown again.` }
    })
  }
}

function readToken ({ name, context, expires, method, ip, referrer, scope }: Options): NewPersonalToken {
  if (name === undefined) throw usageError('What is it for? Give --name NAME.')
  if (context !== 'server' && context !== 'browser') throw usageError('Where is it used? Give --context server or --context browser.')
  return {
    name,
    context,
    ...(expires === undefined ? {} : { expiresAt: readExpiry(expires) }),
    ...(method === undefined ? {} : { allowedMethods: method }),
    ...(ip === undefined ? {} : { allowedIps: ip }),
    ...(referrer === undefined ? {} : { allowedReferrers: referrer }),
    ...(scope === undefined ? {} : { scopes: scope })
  }
}

/** A life, or its end. */
function readExpiry (text: string): Date | string {
  const life = parseDuration(text as `${number}d`)
  return life === null ? text : new Date(now() + life)
}

export const listTokens: Command = {
  usage: 'WHO [--app FILE]',
  summary: 'list the personal tokens of a user, the newest first; none is shown whole',
  words: 1,
  options: [...DATABASE_OPTIONS, 'app', 'json'],
  isServerLoaded,
  run: async (options, [who]) => await withAccounts(options, async accounts => {
    const { id } = await requireUser(accounts, who)
    const tokens = await accounts.personalTokens.list(id)
    return { text: tokens.length === 0 ? 'No tokens.' : toTable(HEADINGS, tokens.map(toCells)), json: tokens }
  })
}

const HEADINGS = ['ID', 'NAME', 'CONTEXT', 'EXPIRES', 'LAST USED', 'LIMITS']

const toCells = ({ id, name, context, expiresAt, lastUsedAt, allowedMethods, allowedIps, allowedReferrers, scopes }: PersonalToken): string[] =>
  [id, name, context, toDay(expiresAt), lastUsedAt === null ? 'never' : toDay(lastUsedAt), [allowedMethods, allowedIps, allowedReferrers, scopes].flatMap(list => list ?? []).join(' ') || 'none']

const toDay = (date: Date) => date.toISOString().slice(0, 10)

export const revokeToken: Command = {
  usage: 'WHO ID [--app FILE]',
  summary: 'end a personal token of a user; "token list" shows the ids',
  words: 2,
  options: [...DATABASE_OPTIONS, 'app', 'json'],
  isServerLoaded,
  run: async (options, [who, tokenId]) => await withAccounts(options, async accounts => {
    const { id, email } = await requireUser(accounts, who)
    if (!await accounts.personalTokens.revoke(id, tokenId)) throw failure(`${email} has no live token ${JSON.stringify(tokenId)}.`)
    return { text: `Ended the token ${tokenId} of ${email}.`, json: { revoked: tokenId } }
  })
}

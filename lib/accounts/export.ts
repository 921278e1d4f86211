import type { AccountExport } from '../../types/account-export.ts'
import { toPersonalToken } from '../personal-tokens/records.ts'
import { toListedSession, toUser } from '../sessions/records.ts'
import { isId } from '../shape.ts'
import type { AccountsDependencies } from './dependencies.ts'

/** All that is stored on a person, but for what would let somebody act in their name; `null`: no such user. */
export type ExportUser = (userId: string) => Promise<AccountExport | null>

export function createExport ({ storage }: Pick<AccountsDependencies, 'storage'>): ExportUser {
  return async function exportUser (userId) {
    const user = isId(userId) ? await storage.users.find(userId) : null
    if (user === null) return null
    const [sessions, personalTokens, links, mails, basicUses, hostSessions] = await Promise.all([
      storage.sessions.listForUser(userId, null),
      storage.personalTokens?.listForUser(userId) ?? [],
      storage.oneTimeTokens?.listForUser(userId) ?? [],
      storage.outbox?.listForUser(userId) ?? [],
      storage.basicUses?.listForUser(userId) ?? [],
      storage.hostSessions?.listForUser(userId) ?? []
    ])
    return {
      user: toUser(user),
      hasPassword: user.passwordDigest !== null,
      sessions: sessions.map(session => {
        const { current: _, ...listed } = toListedSession(session, undefined)
        return { ...listed, userAgent: session.userAgent, remember: session.remember, claims: session.claims === null ? null : JSON.parse(session.claims) as unknown, revokedAt: session.revokedAt, revokeReason: session.revokeReason }
      }),
      personalTokens: personalTokens.map(token => ({ ...toPersonalToken(token), revokedAt: token.revokedAt })),
      links: links.map(({ purpose, email, createdAt, expiresAt }) => ({ purpose, email, createdAt, expiresAt })),
      mails: mails.map(({ kind, recipient, data: { epoch: _, ...data }, locale, attempts, createdAt, dueAt }) => ({ kind, recipient, data, locale, attempts, createdAt, dueAt })),
      basicUses: basicUses.map(({ userId: _, ...use }) => use),
      hostSessions: hostSessions.map(({ data, expiresAt }) => ({ data: JSON.parse(data) as unknown, expiresAt }))
    }
  }
}

import type { UserList, UserListQuery } from '../../types/accounts.ts'
import type { UserCursor } from '../../types/storage.ts'
import { FST_ACCOUNTS_INPUT_INVALID, FST_ACCOUNTS_LIST_UNSUPPORTED } from '../errors.ts'
import { toUser } from '../sessions/records.ts'
import { isId } from '../shape.ts'
import type { AccountsDependencies } from './dependencies.ts'
import { readListQuery } from './shapes.ts'

export type ListUsers = (query?: UserListQuery) => Promise<UserList>

const DEFAULT_LIMIT = 50

/** The longest address that there is (RFC 5321, 4.5.3.1.3). */
const MAX_SEARCH = 254

export function createListUsers ({ storage }: Pick<AccountsDependencies, 'storage'>): ListUsers {
  return async function listUsers (query = {}) {
    const { search, cursor, limit = DEFAULT_LIMIT } = readListQuery(query)
    const { users: store } = storage
    if (store.list === undefined) throw new FST_ACCOUNTS_LIST_UNSUPPORTED()
    // One more than is shown tells whether there are more.
    const found = await store.list({ search: parseSearch(search ?? ''), after: parseCursor(cursor ?? null), limit: limit + 1 })
    const users = found.slice(0, limit).map(toUser)
    return { users, next: found.length > limit ? serializeCursor(users.at(-1)!) : null }
  }
}

function parseSearch (text: string): string | null {
  const search = text.normalize('NFC').trim()
  if (!search.isWellFormed() || search.length > MAX_SEARCH || /\p{Cc}/u.test(search)) throw new FST_ACCOUNTS_INPUT_INVALID(`search must be at most ${MAX_SEARCH} characters, none of them a control character`)
  return search === '' ? null : search
}

const serializeCursor = ({ createdAt, id }: UserCursor): string => Buffer.from(JSON.stringify([createdAt.getTime(), id])).toString('base64url')

/** Whole years of four digits: what every database takes for a time. */
const [EARLIEST, LATEST] = [Date.parse('0001-01-01T00:00:00.000Z'), Date.parse('9999-12-31T23:59:59.999Z')]

/** It comes back from the client, so only what we would have written is read. */
function parseCursor (cursor: string | null): UserCursor | null {
  if (cursor === null) return null
  const [time, id] = parseJsonList(Buffer.from(cursor, 'base64url').toString())
  if (typeof time === 'number' && Number.isInteger(time) && time >= EARLIEST && time <= LATEST && isId(id)) {
    const after = { createdAt: new Date(time), id }
    if (serializeCursor(after) === cursor) return after
  }
  throw new FST_ACCOUNTS_INPUT_INVALID('cursor is not one that a list has answered')
}

function parseJsonList (text: string): readonly unknown[] {
  try {
    const value: unknown = JSON.parse(text)
    return Array.isArray(value) ? value : []
  } catch {
    return []
  }
}

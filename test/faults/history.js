/**
 * What somebody did, and what came of it. Times are real ones, in milliseconds.
 * @typedef {object} Entry
 * @property {number} t0
 * @property {number} t1
 * @property {string} client
 * @property {'join' | 'login' | 'logout' | 'enter' | 'refresh' | 'rename' | 'found' | 'executed' | 'returned'} op `found`: what is stored in the end;
 *   `executed`: how often something was done that was asked for once; `returned`: whether a client was let in again after a fault
 * @property {string} token the session whose cookies were sent
 * @property {string | number} result `ok`, `refused` (401), `cleared` (told to forget the cookies, whatever else was said), `unavailable` (503),
 *   `silent` (no answer in time) or another status; of `executed` a count
 * @property {string} [value] the name that was written or found
 */

/**
 * What a server has decided about a session, as it publishes it.
 * @typedef {object} Decision
 * @property {number} at
 * @property {string} name
 * @property {string} sessionId
 */

/** So long a process may not have heard of a logout on another one. */
const BOUND_MS = 1000

/**
 * Count what must never happen.
 * @param {Entry[]} history
 * @param {object} [seen]
 * @param {Decision[]} [seen.decisions]
 * @param {Map<string, number | null>} [seen.generations] of sessions, as they are stored in the end; `null`: the session is gone
 * @param {boolean} [seen.mayLogOut] the store itself was made to forget
 */
export function checkHistory (history, { decisions = [], generations = new Map(), mayLogOut = false } = {}) {
  const of = (...ops) => history.filter(({ op }) => ops.includes(op))
  const loggedOut = findLoggedOut(of('enter', 'refresh', 'rename'), of('logout'))
  return {
    falseLogouts: mayLogOut ? 0 : loggedOut.size,
    loggedOut: loggedOut.size,
    lost: countLost(of('rename'), of('found')) + of('login').filter(({ result }) => result === 'refused').length,
    resurrected: findResurrected(of('enter', 'refresh', 'rename'), of('logout')).size,
    forks: mayLogOut ? 0 : countForks(decisions, generations),
    wrongfulKills: decisions.filter(({ name }) => name === 'session.reused').length,
    stranded: of('returned').filter(({ result }) => result !== 'ok').length,
    doubleExecutions: of('executed').filter(({ result }) => result > 1).length,
    hung: history.filter(({ result }) => result === 'silent').length
  }
}

const isRefusal = ({ result }) => result === 'refused' || result === 'cleared'

/** Sessions whose client was turned away, though it had not begun to log out. */
function findLoggedOut (uses, logouts) {
  const leftAt = earliest(logouts, ({ t0 }) => t0)
  return new Set(uses.filter(use => isRefusal(use) && !(leftAt.get(use.token) < use.t1)).map(({ token }) => token))
}

/** Sessions that let somebody in after their end was acknowledged. */
function findResurrected (uses, logouts) {
  const endedAt = earliest(logouts.filter(({ result }) => result === 'ok'), ({ t1 }) => t1)
  return new Set(uses.filter(({ token, result, t0 }) => result === 'ok' && endedAt.get(token) + BOUND_MS < t0).map(({ token }) => token))
}

function earliest (entries, timeOf) {
  const times = new Map()
  for (const entry of entries) times.set(entry.token, Math.min(times.get(entry.token) ?? Infinity, timeOf(entry)))
  return times
}

/** What was acknowledged last must be there, or in its place what was asked for and never answered. */
function countLost (renames, found) {
  return found.filter(({ client, value: stored }) => {
    const own = renames.filter(rename => rename.client === client)
    const last = own.findLast(({ result }) => result === 'ok')
    return last !== undefined && last.value !== stored && !own.some(({ result, value }) => result !== 'ok' && value === stored)
  }).length
}

/** Each rotation moves a session on by one, so whoever has rotated more often has done it twice from one place. */
function countForks (decisions, generations) {
  const rotations = new Map()
  for (const { name, sessionId } of decisions) if (name === 'session.rotated') rotations.set(sessionId, (rotations.get(sessionId) ?? 0) + 1)
  return [...rotations].reduce((sum, [id, count]) => sum + Math.max(0, count - (generations.get(id) ?? count)), 0)
}

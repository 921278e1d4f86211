import { checkHistory } from './history.js'

/** What nobody may wait longer for; a machine that is busy with other things gets so much more. */
const UNAVAILABLE_MS = 1000
const RECOVERY_MS = 5000
/** Of what nobody should notice: a machine that is busy with other things. */
const NOISE = 0.005

/** What must never happen, by the name that it has in the table. */
const NEVER = {
  falseLogouts: 'false logouts',
  lost: 'lost writes',
  resurrected: 'resurrected',
  forks: 'forks',
  wrongfulKills: 'wrongful kills',
  stranded: 'stranded',
  doubleExecutions: 'done twice',
  hung: 'unanswered'
}

/**
 * What a history shows.
 * @param {import('./history.js').Entry[]} history
 * @param {Parameters<typeof checkHistory>[1]} [seen]
 */
export function figureOf (history, seen) {
  const sent = history.filter(({ op }) => !NOTES.has(op))
  return {
    requests: sent.length,
    ...checkHistory(history, seen),
    unavailable: sent.filter(({ result }) => result === 'unavailable').map(({ t0, t1 }) => t1 - t0),
    slowest: sent.reduce((slowest, entry) => entry.result === 'unavailable' && !(entry.t1 - entry.t0 < slowest.t1 - slowest.t0) ? entry : slowest, {}).op,
    strange: [...new Set(sent.filter(({ result }) => /^\d/.test(result)).map(({ op, result }) => `${op} ${result}`))]
  }
}

/** What was not sent by anybody. */
const NOTES = new Set(['found', 'executed', 'returned'])

/** What a run has shown to be otherwise than it should be. */
export function findFaults ({ outage, figure }, patienceMs) {
  const faults = Object.keys(NEVER).filter(name => figure[name] > 0).map(name => `${figure[name]} ${NEVER[name]}`)
  const late = (what, times, limit) => { if (at(times, 0.99) > limit + patienceMs) faults.push(`${what} took ${at(times, 0.99)} ms`) }
  if (!outage.isCrowd) late(`a 503 (${figure.slowest})`, figure.unavailable ?? [], UNAVAILABLE_MS)
  late('recovery', figure.recoveries ?? [], RECOVERY_MS)
  if (!outage.mayLogOut && share(figure.stateless) < 1) faults.push(`stateless routes answered ${percent(figure.stateless)}`)
  if ((outage.isWriteOnly || outage.isHarmless) && share(figure.checked) < 1 - NOISE) faults.push(`checked routes answered ${percent(figure.checked)}`)
  if (outage.isHarmless && figure.unavailable.length > NOISE * figure.requests) faults.push(`${figure.unavailable.length} times 503`)
  if (figure.strange?.length > 0) faults.push(`answered otherwise: ${figure.strange.join(', ')}`)
  return [...faults, ...figure.faults ?? []]
}

/** A line of the table. */
export function toRow ({ outage: { id, title }, setup, figure, where }) {
  if (figure === undefined) return { '': id, fault: title, where }
  return {
    '': id,
    fault: title,
    sessions: setup,
    n: figure.n,
    ...Object.fromEntries(Object.entries(NEVER).map(([name, header]) => [header, figure[name] ?? ''])),
    'logged out': figure.loggedOut ?? '',
    'to 503': times(figure.unavailable),
    recovery: times(figure.recoveries),
    stateless: percent(figure.stateless),
    checked: percent(figure.checked),
    '3/n': `${Math.min(100, 300 / figure.n).toFixed(1)} %`,
    where: [where, figure.remark].filter(Boolean).join('; ')
  }
}

/** p50/p99/largest. */
function times (all = []) {
  return all.length === 0 ? '' : [0.5, 0.99, 1].map(share => at(all, share)).join('/')
}

export function at (all, share) {
  const sorted = [...all].sort((a, b) => a - b)
  return Math.round(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0)
}

const share = ({ asked, answered } = { asked: 0, answered: 0 }) => asked === 0 ? 1 : answered / asked

const percent = (counts) => counts === undefined || counts.asked === 0 ? '' : `${(100 * share(counts)).toFixed(1)} %`

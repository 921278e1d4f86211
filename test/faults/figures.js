import { checkHistory } from './history.js'

/** What nobody may wait longer for; a machine that is busy with other things gets so much more. */
const RECOVERY_MS = 5000
/** Until a 503: what asks once, and what takes a transaction. */
const UNAVAILABLE_MS = { enter: 1000, refresh: 1000 }
const TRANSACTION_MS = 2000
/** Of what nobody should notice. */
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
    unavailable: sent.filter(({ result }) => result === 'unavailable').map(({ op, t0, t1 }) => ({ op, ms: t1 - t0 })),
    strange: [...new Set(sent.filter(({ result }) => /^\d/.test(result)).map(({ op, result }) => `${op} ${result}`))]
  }
}

/** What was not sent by anybody. */
const NOTES = new Set(['found', 'executed', 'returned'])

/** What a run has shown to be otherwise than it should be. */
export function findFaults ({ outage, figure }, patienceMs) {
  const faults = Object.keys(NEVER).filter(name => figure[name] > 0).map(name => `${figure[name]} ${NEVER[name]}`)
  const { unavailable = [], recoveries = [] } = figure
  const late = unavailable.filter(({ op, ms }) => ms > (UNAVAILABLE_MS[op] ?? TRANSACTION_MS) + patienceMs)
  if (!outage.isCrowd && late.length > unavailable.length / 100) faults.push(`a 503 took ${late.map(({ op, ms }) => `${ms} ms (${op})`).join(', ')}`)
  if (at(recoveries, 0.99) > RECOVERY_MS + patienceMs) faults.push(`recovery took ${at(recoveries, 0.99)} ms`)
  if (!outage.mayLogOut && share(figure.stateless) < 1) faults.push(`stateless routes answered ${percent(figure.stateless)}`)
  if ((outage.isWriteOnly || outage.isHarmless) && share(figure.checked) < 1 - NOISE) faults.push(`checked routes answered ${percent(figure.checked)}`)
  if (outage.isHarmless && unavailable.length > NOISE * figure.requests) faults.push(`${unavailable.length} times 503`)
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
    'to 503': times(figure.unavailable.map(({ ms }) => ms)),
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

// Brings the people of the old system along: ids, addresses, digests of their passwords, who is an owner, who is disabled.
// It can be run again: who is there already is left as they are. Nothing of the old database is changed.
//
//   OLD_DATABASE_URL=… node --env-file=.env import.js --dry-run
//   OLD_DATABASE_URL=… node --env-file=.env import.js
//
// --organization ID   whose owners become owners here, if there are several
// --keep ID           of those who share an address, the one to bring along (again for each)
import { randomBytes } from 'node:crypto'
import { parseArgs } from 'node:util'
import Fastify from 'fastify'
import accounts, { emailKey, optionsFromEnv } from 'fastify-accounts'
import { openOldDatabase } from './old-database.js'

/** What `users.import` takes of bcrypt; of anything else nobody could know the password. */
const BCRYPT = /^\$2[aby]\$(0[4-9]|1[0-5])\$[./A-Za-z0-9]{53}$/

/** How a person of the old system fares: `account` is what is brought along, `notes` what somebody should know. */
function read ({ id, email, name, credential, status, createdAt, isOwner, isDisabled }) {
  const isKnown = ['active', 'invited', 'unverified', 'disable', 'disabled'].includes(status)
  const hasDigest = BCRYPT.test(credential ?? '')
  const isUsableName = Boolean(name) && [...name].length <= 200 && !/[\p{Cc}\u2028\u2029]/u.test(name) && name.isWellFormed()
  return {
    account: {
      id,
      email,
      createdAt,
      roles: isOwner ? ['owner'] : [],
      // Whoever was active had proved the address, or an owner had vouched for it.
      emailVerified: status !== 'invited' && status !== 'unverified',
      disabled: isDisabled || !isKnown,
      ...(isUsableName ? { name } : {}),
      ...(hasDigest ? { passwordDigest: credential } : {})
    },
    notes: [
      ...(isKnown ? [] : [`status "${status}" is unknown: disabled`]),
      ...(isDisabled ? ['disabled'] : []),
      ...(status === 'invited' || status === 'unverified' ? [`${status}: the address is not proved`] : []),
      ...(hasDigest ? [] : [credential ? 'digest of an unknown kind: no password' : 'no password']),
      ...(isUsableName || !name ? [] : ['name left out'])
    ]
  }
}

/**
 * Bring people along, one by one. Nobody is lost without a word: there is a line for each.
 * @param {import('fastify-accounts').Accounts} accounts
 * @param {import('fastify-accounts').Storage} storage the one that `accounts` uses
 * @param {{ keep?: string[], isDryRun?: boolean }} [options]
 */
export async function importPeople ({ users }, storage, people, { keep = [], isDryRun = false } = {}) {
  const sharing = new Map()
  for (const person of people.filter(isThere)) sharing.set(emailKey(person.email), [...sharing.get(emailKey(person.email)) ?? [], person])
  const report = []
  for (const person of people) report.push({ id: person.id, email: person.email, ...await bring(person) })
  return report

  async function bring (person) {
    if (!isThere(person)) return { outcome: 'left', notes: ['deleted there'] }
    const key = emailKey(person.email)
    if (key === null) return { outcome: 'refused', notes: ['no usable address'] }
    const others = sharing.get(key).filter(({ id }) => id !== person.id)
    if (others.length > 0 && !isChosen(person, others)) return { outcome: 'refused', notes: [`shares the address with ${others.map(({ id }) => id).join(', ')}`] }
    const { account, notes } = read(person)
    const known = await storage.users.find(person.id)
    if (known !== null) return { outcome: 'there', notes: differences(known, account) }
    if (await users.findByEmail(person.email) !== null) return { outcome: 'refused', notes: ['somebody else has the address here'] }
    if (!isDryRun) await users.import(account)
    return { outcome: 'imported', notes }
  }

  /** The old server took the first that it found. Here somebody says whose the address is, unless only one could ever log in. */
  function isChosen (person, others) {
    const chosen = [person, ...others].filter(({ id }) => keep.includes(id))
    if (chosen.length > 0) return chosen.length === 1 && chosen[0] === person
    return canLogIn(person) && !others.some(canLogIn)
  }
}

const isThere = ({ status }) => status !== 'deleted'

const canLogIn = ({ status, credential, isDisabled }) => status === 'active' && !isDisabled && BCRYPT.test(credential ?? '')

function differences (user, account) {
  const pairs = { address: [emailKey(user.email), emailKey(account.email)], owner: [user.roles.includes('owner'), account.roles.includes('owner')], disabled: [user.disabled, account.disabled] }
  const notes = Object.entries(pairs).filter(([, [here, there]]) => here !== there).map(([name, [here, there]]) => `${name}: here ${here}, there ${there}`)
  // One that is no bcrypt digest any more was made at a login here, and is the newer.
  const isChanged = BCRYPT.test(user.passwordDigest ?? '') && user.passwordDigest !== account.passwordDigest
  return isChanged ? [...notes, 'password: was changed there'] : notes
}

/** The report as lines: a count for each outcome, and everybody about whom there is something to say. */
export function formatReport (report) {
  const counts = ['imported', 'there', 'left', 'refused'].map(outcome => `${outcome} ${report.filter(one => one.outcome === outcome).length}`)
  const told = report.filter(({ outcome, notes }) => outcome === 'refused' || notes.length > 0)
  return [...told.map(({ outcome, id, email, notes }) => `${outcome}  ${id}  ${JSON.stringify(email)}  ${notes.join('; ')}`), `${report.length} people: ${counts.join(', ')}`].join('\n')
}

async function main () {
  const { values } = parseArgs({ options: { 'dry-run': { type: 'boolean', default: false }, organization: { type: 'string' }, keep: { type: 'string', multiple: true } } })
  const old = await openOldDatabase(process.env.OLD_DATABASE_URL)
  const app = Fastify()
  // The services alone: no route is served, no mail sent, and no session signed.
  const options = await optionsFromEnv(process.env)
  await app.register(accounts, { ...options, mailer: undefined, mail: undefined, secrets: undefined, secret: randomBytes(48), routes: false })
  try {
    const report = await importPeople(app.accounts, options.storage, await old.people(values.organization), { keep: values.keep, isDryRun: values['dry-run'] })
    console.log(formatReport(report))
    if (!report.some(({ outcome }) => outcome === 'refused')) return
    console.log('Whoever was refused can not log in: see "Who can\'t come along as they are" in docs/from-flowise.md.')
    process.exitCode = 1
  } finally {
    await app.close()
    await old.close()
  }
}

if (process.argv[1] === import.meta.filename) await main()

import type { Accounts } from '../../types/accounts.ts'
import type { AccountsFacts, Checked } from '../../types/diagnosis.ts'
import type { Mailer } from '../../types/mailer.ts'
import { beforeDeadline, now } from '../clock.ts'
import type { Settings } from '../options/index.ts'
import type { GuardedStorage } from '../storage.ts'
import { reasonOf } from './reason.ts'

export interface DiagnosisDependencies {
  readonly settings: Settings
  readonly storage: Pick<GuardedStorage, 'inspect' | 'places'>
  /** What only the parts and the server know. */
  readonly known: Pick<AccountsFacts, 'cookies' | 'routesPath' | 'isHttps' | 'trustProxy'>
}

/** A mailer ends in bounded time by itself; one of a host's may not. */
const MAILER_MS = 30_000

export function createDiagnose ({ settings: { origin, appPath, cookies, secretFacts, keyPairs, mail }, storage, known }: DiagnosisDependencies): Accounts['diagnose'] {
  const keys = (keyPairs ?? []).map(({ id, algorithm, privateKey }) => ({ kid: id, algorithm, canSign: privateKey !== null }))
  return async () => {
    const [inspection, redis, mailer] = await Promise.all([checkStorage(storage), checkPlaces(storage), mail === null ? null : checkMailer(mail.mailer)])
    return { appUrl: origin + appPath, ...known, isInsecure: cookies.insecure, secrets: secretFacts, keys, storage: inspection, redis, mailer }
  }
}

async function checkStorage ({ inspect }: DiagnosisDependencies['storage']): Promise<AccountsFacts['storage']> {
  if (inspect === null) return { state: 'unchecked' }
  const askedAt = new Date(now())
  return await check(async () => ({ ...await inspect(), askedAt, answeredAt: new Date(now()) }))
}

async function checkPlaces ({ places }: DiagnosisDependencies['storage']): Promise<AccountsFacts['redis']> {
  return await Promise.all(places.map(async ({ stores, inspect }) => ({ stores, inspection: await check(inspect) })))
}

async function checkMailer (mailer: Mailer): Promise<Checked<null>> {
  if (mailer.verify === undefined) return { state: 'unchecked' }
  return await check(async () => {
    await beforeDeadline(async () => await mailer.verify!(), MAILER_MS)
    return null
  })
}

async function check<Answer> (ask: () => Promise<Answer>): Promise<Checked<Answer>> {
  try {
    return { state: 'answered', answer: await ask() }
  } catch (error) {
    return { state: 'failed', reason: reasonOf(error) }
  }
}

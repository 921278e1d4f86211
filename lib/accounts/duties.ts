import type { OriginGuard } from '../requests/origin.ts'
import type { LimitRate } from '../requests/rate-limit.ts'
import type { Cookies } from '../sessions/cookies.ts'
import type { Devices } from '../sessions/devices.ts'
import type { Leave } from '../sessions/leave.ts'
import type { Key } from '../tokens/secrets.ts'
import { createAdministration } from './administration.ts'
import { createBasicDuties } from './basic.ts'
import { createBasicUsage } from './basic-usage.ts'
import { createBrowser } from './browser.ts'
import { createConfirmEmail } from './confirm-email.ts'
import type { AccountsDependencies } from './dependencies.ts'
import { createEmails } from './emails.ts'
import { createEnrol } from './enrol.ts'
import { createExport } from './export.ts'
import { createHandOver } from './hand-over.ts'
import { createImport } from './import.ts'
import { createListUsers } from './list.ts'
import { createBegin, createLogin } from './login.ts'
import { createPrepare } from './new-account.ts'
import { createOwner } from './owner.ts'
import { createOwnerProof } from './owner-proof.ts'
import { createPasswordChanges } from './password.ts'
import { createProof } from './proof.ts'
import { createRecovery } from './recovery.ts'
import { createRegister } from './register.ts'
import { createUsers } from './users.ts'
import { createVouch } from './vouch.ts'

/** What the duties need of requests, and of what answers them. */
interface Doors {
  readonly cookies: Cookies
  readonly devices: Devices
  readonly originGuard: OriginGuard
  readonly leave: Leave
  /** `null`: requests are not counted. */
  readonly limitRate: LimitRate | null
  /** For digests. */
  readonly keys: readonly Key[]
}

/** All that is done with accounts. `null`: the storage, or the lack of a mailer, does not allow it. */
export function createAccountDuties (dependencies: AccountsDependencies, { cookies, devices, originGuard, leave, limitRate, keys }: Doors) {
  const { settings, storage, signOut } = dependencies
  const proof = createProof(dependencies)
  const basic = settings.basic === null ? null : createBasicDuties(settings.basic, dependencies, proof, limitRate)
  const begin = createBegin(dependencies)
  const vouch = createVouch(dependencies, begin)
  const prepare = createPrepare(dependencies)
  const enrol = createEnrol(dependencies)
  const handOver = createHandOver(dependencies)
  const users = createUsers(dependencies, prepare)
  return {
    basic,
    vouch,
    users,
    browser: createBrowser(dependencies, { vouch, cookies, devices, originGuard, leave }),
    register: createRegister(dependencies, prepare, enrol),
    login: createLogin(dependencies, proof, begin),
    /** Begins a session beside that of the cookies, if there are any. */
    loginBeside: createLogin(dependencies, proof, createBegin({ ...dependencies, readPresented: () => [] })),
    owner: createOwner(dependencies, prepare, enrol),
    ownerProof: createOwnerProof(basic?.legacy ?? null, settings.basic?.sunset ?? null, keys),
    passwordChanges: createPasswordChanges(dependencies),
    listUsers: createListUsers(dependencies),
    exportUser: createExport(dependencies),
    importUser: createImport(dependencies),
    confirmEmail: createConfirmEmail(dependencies, handOver),
    recovery: settings.mail === null ? null : createRecovery(dependencies, handOver),
    emails: settings.mail === null ? null : createEmails(dependencies),
    administration: storage.users.list === undefined ? null : createAdministration(users, signOut),
    basicUsage: createBasicUsage(dependencies, basic?.uses ?? null)
  }
}

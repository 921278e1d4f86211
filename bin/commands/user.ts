import type { User, UserChange } from '../../types/index.ts'
import { failure, usageError, type Command, type Options } from './command.ts'
import { readPassword } from './read-password.ts'
import { DATABASE_OPTIONS, STORAGE_OPTIONS } from './storage.ts'
import { requireUser, withAccounts, withSessions } from './with-accounts.ts'

export const createUser: Command = {
  usage: '--email ADDRESS [--username NAME] [--name NAME] [--role ROLE]... [--password-stdin | --no-password]',
  summary: 'make an account, such as the first owner: --role owner',
  words: 0,
  options: [...DATABASE_OPTIONS, 'email', 'username', 'name', 'role', 'password-stdin', 'no-password', 'json'],
  async run (options, _words, terminal) {
    const { email, username, name, role = [], 'no-password': hasNone = false } = options
    if (email === undefined) throw usageError('Whose account? Give --email ADDRESS.')
    if (hasNone && options['password-stdin'] === true) throw usageError('--password-stdin and --no-password contradict each other.')
    return await withAccounts(options, async ({ users }) => {
      const password = hasNone ? undefined : await readPassword(options, terminal)
      const user = await users.create({
        email,
        ...(password === undefined ? {} : { password }),
        ...(username === undefined ? {} : { username }),
        ...(name === undefined ? {} : { name }),
        roles: role,
        // Who runs the command vouches for it.
        emailVerified: true
      })
      return { text: `Created ${user.email}, id ${user.id}, ${describeRoles(user)}.`, json: user }
    })
  }
}

export const disableUser = changeCommand('let nobody log in to an account any more, and end its sessions', { disabled: true }, user => `Disabled ${user.email}, all sessions have ended.`)
export const enableUser = changeCommand('let its owner log in again', { disabled: false }, user => `Enabled ${user.email}.`)

function changeCommand (summary: string, change: UserChange, describe: (user: User) => string): Command {
  return {
    usage: 'WHO',
    summary,
    words: 1,
    options: [...STORAGE_OPTIONS, 'json'],
    async run (options, [who]) {
      const user = await changeUser(withSessions, options, who, change)
      return { text: describe(user), json: user }
    }
  }
}

export const setRoles: Command = {
  usage: 'WHO [[--role ROLE]... | --none]',
  summary: 'set all roles of a user, or take all away; with neither, show them',
  words: 1,
  options: [...DATABASE_OPTIONS, 'role', 'none', 'json'],
  async run (options, [who]) {
    const { role = [], none = false } = options
    if (none && role.length > 0) throw usageError('--role and --none contradict each other.')
    const user = none || role.length > 0
      ? await changeUser(withAccounts, options, who, { roles: role })
      : await withAccounts(options, async accounts => await requireUser(accounts, who))
    return { text: `${user.email}: ${describeRoles(user)}`, json: user }
  }
}

export const setPassword: Command = {
  usage: 'WHO [--password-stdin]',
  summary: 'set the password of a user, and end the sessions',
  words: 1,
  options: [...STORAGE_OPTIONS, 'password-stdin', 'json'],
  run: async (options, [who], terminal) => await withSessions(options, async accounts => {
    const { id, email } = await requireUser(accounts, who)
    const user = await accounts.passwords.set(id, await readPassword(options, terminal))
    if (user === null) throw gone(email)
    return { text: `The password of ${email} is set, all sessions have ended.`, json: user }
  })
}

async function changeUser (open: typeof withAccounts, options: Options, who: string, change: UserChange): Promise<User> {
  return await open(options, async accounts => {
    const { id, email } = await requireUser(accounts, who)
    const user = await accounts.users.update(id, change)
    if (user === null) throw gone(email)
    return user
  })
}

/** Deleted since it was looked up. */
const gone = (email: string) => failure(`${email} has just been deleted.`)

const describeRoles = ({ roles }: User) => roles.length === 0 ? 'no roles' : `${roles.length === 1 ? 'role' : 'roles'} ${roles.join(', ')}`

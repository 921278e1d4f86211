import { FST_ACCOUNTS_ROLE_INVALID } from '../errors.ts'

const MAX_ROLES = 32

/** Roles are compared to the letter, so small letters alone: nobody is to be taken for an `owner` as `Owner`. */
const ROLE = /^[a-z][a-z0-9._:-]{0,63}$/

/** @throws {FST_ACCOUNTS_ROLE_INVALID} */
export function checkRoles (roles: readonly string[]): void {
  if (roles.length > MAX_ROLES || new Set(roles).size !== roles.length || !roles.every(role => ROLE.test(role))) throw new FST_ACCOUNTS_ROLE_INVALID()
}

/** Who may do anything, and of whom one always stays. */
export const isOwner = ({ roles }: { readonly roles: readonly string[] }): boolean => roles.includes('owner')

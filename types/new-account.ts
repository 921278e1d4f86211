export interface Registration {
  readonly email: string
  readonly password: string
  readonly username?: string
  readonly name?: string
}

/** An account that somebody else makes: without a password nobody logs in to it until one is set. */
export interface NewAccount extends Omit<Registration, 'password'> {
  readonly password?: string
  /**
   * At most 32 different ones, each of 1 to 64 small letters, digits, `.`, `_`, `:`, `-`, and a letter first. To the package
   * itself `owner` and `admin` mean something: they manage users, and one owner always stays.
   */
  readonly roles?: readonly string[]
  /** Whether you vouch for the address, so that nobody has to prove it. @default false */
  readonly emailVerified?: boolean
}

/** An account of another system, as it is there. */
export interface ImportedAccount extends Omit<NewAccount, 'password'> {
  /**
   * Its id there, so that what refers to it still does: 1 to 128 letters, digits and `_`, `-`, `.`, `:`, `@`, `|`. A users table whose ids are
   * its own gives another. @default a new one
   */
  readonly id?: string
  /**
   * bcrypt, argon2id as a PHC string, or what `passwords.verifyForeign` is to verify. Left out: nobody logs in until a
   * password is set.
   */
  readonly passwordDigest?: string
  /** @default false */
  readonly disabled?: boolean
  /** @default now */
  readonly createdAt?: Date
}

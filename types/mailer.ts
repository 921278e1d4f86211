/** One mail, ready to send, to exactly one address. All text is already escaped where it must be. */
export interface Mail {
  /** One address without a name, however it looks: nothing of it separates recipients. */
  readonly to: string
  readonly subject: string
  readonly text: string
  readonly html: string
  /** What it is about; left out of mail that is none of the package's. */
  readonly kind?: MailKind
  /** The same each time that the same mail is sent, so that a duplicate can be known by its `Message-ID`: 1 to 128 letters, digits, `-`, `_`. */
  readonly id?: string
}

/**
 * Sends mail. A rejection means "try again later"; if the error has `permanent: true` there is no point in that, as the
 * address is no good. It ends in bounded time, and no error holds a credential.
 */
export interface Mailer {
  send (mail: Mail): Promise<void>
  /** Reject if mail could not be sent just now, by all that can be known without sending any. */
  verify?(): Promise<void>
  /** Close what was opened here. Twice does no harm. */
  close?(): Promise<void>
}

interface LinkData {
  /** Where the reader is to go on: a page at the origin of `appUrl`, with a one-time token. A secret. */
  readonly link: string
  /** For how long the link works, in whole minutes. */
  readonly validMinutes: number
}

interface EventData {
  readonly at: Date
  /** Such as `Firefox on Windows`; `null` when unknown. */
  readonly device: string | null
  /** The client's IP address; `null` when unknown. */
  readonly address: string | null
}

/** Every kind of mail that the package sends, and what it is about. */
export interface MailData {
  'reset-password': LinkData
  'verify-email': LinkData
  /** To the new address, to prove that it is theirs. */
  'change-email': LinkData
  /** To the old address, when a change was asked for. */
  'email-change-requested': EventData & { readonly newEmail: string }
  /** To the old address, after it happened. */
  'email-changed': EventData & { readonly newEmail: string }
  /** Somebody tried to sign up with an address that has an account: to its owner, with no link that changes anything. */
  'email-taken': Record<never, never>
  'password-changed': EventData
  /** A copy of a session's cookie was found, and the session ended. */
  'session-reused': EventData
  'personal-token-created': EventData & { readonly tokenName: string, readonly expiresAt: Date }
  /** Seven days, and one day, before a token ends that has no successor. */
  'personal-token-expiring': { readonly tokenName: string, readonly expiresAt: Date, readonly lastUsedAt: Date | null }
}

export type MailKind = keyof MailData

/**
 * What a text is made of. Names, addresses, devices hold no line breaks, control or direction characters any more, but
 * anything else: escape them in HTML (`html` of this package does).
 */
export interface MailContext<Kind extends MailKind = MailKind> {
  readonly kind: Kind
  readonly data: MailData[Kind]
  readonly user: { readonly name: string | null, readonly email: string }
  /** A language tag such as `de-CH`, if the host knows the user's. */
  readonly locale: string | null
  readonly appName: string
  /** Without a slash at its end. */
  readonly appUrl: string
}

export interface MailContent {
  /** One line. Leave out what users choose, their name for instance: strangers could send their words in your name. */
  readonly subject: string
  /** Plain text; where `data` has a `link` it must stand in here. */
  readonly text: string
  /** A whole document. */
  readonly html: string | Html
}

/** What the tag `html` makes; in another template of that tag it stands as it is. */
export interface Html {
  readonly [Symbol.toStringTag]: 'Html'
  toString (): string
}

/** Text of the host's own; `null` or `undefined`: the package's text after all, for a locale that there is no other for. */
export type MailMessage<Kind extends MailKind = MailKind> = (context: MailContext<Kind>) => MailContent | null | undefined | Promise<MailContent | null | undefined>

import Type, { type TSchema } from 'typebox'

// What a body may be is checked by the duty behind it where it is a question of policy (422); here stand the shapes (400).

const closed = { additionalProperties: false }

const Password = Type.String({ description: 'Unicode; counted in code points, compared after NFC', maxLength: 16_384 })
const Email = Type.String({ description: 'An e-mail address (RFC 5321)', maxLength: 320 })
const Username = Type.String({ maxLength: 64 })
const Name = Type.String({ maxLength: 400 })
const Remember = Type.Optional(Type.Boolean({ description: 'false: the cookies end with the browser', default: true }))

export const RegisterBody = Type.Object({ email: Email, password: Password, username: Type.Optional(Username), name: Type.Optional(Name) }, closed)
export const ClaimBody = Type.Object({
  email: Email,
  password: Password,
  username: Type.Optional(Username),
  name: Type.Optional(Name),
  setupCode: Type.Optional(Type.String({ description: 'From the log of the server; not where there are legacy credentials', maxLength: 64 }))
}, closed)
export const LoginBody = Type.Union([
  Type.Object({ email: Email, password: Password, remember: Remember }, closed),
  Type.Object({ username: Username, password: Password, remember: Remember }, closed)
])
export const ChangeMeBody = Type.Object({ name: Type.Union([Name, Type.Null()]) }, closed)
export const DeleteMeBody = Type.Object({ password: Password }, closed)
export const ChangePasswordBody = Type.Object({ currentPassword: Password, newPassword: Password }, closed)

const Token = Type.String({ description: 'The token of a link in a mail', maxLength: 512 })
export const EmailBody = Type.Object({ email: Email }, closed)
export const ResetPasswordBody = Type.Object({ token: Token, password: Password }, closed)
export const VerifyEmailBody = Type.Object({ token: Token }, closed)
export const ChangeEmailBody = Type.Object({ email: Email, password: Password }, closed)

const TokenList = (description: string) => Type.Optional(Type.Union([Type.Array(Type.String({ maxLength: 512 }), { maxItems: 64 }), Type.Null()], { description: `${description}; null or left out: not limited` }))
const tokenFields = {
  expiresAt: Type.Optional(Type.String({ maxLength: 64, description: 'RFC 3339, such as 2027-01-31T12:00:00Z' })),
  allowedMethods: TokenList('Of GET, HEAD, POST, PUT, PATCH, DELETE; GET includes HEAD'),
  allowedIps: TokenList('Addresses and networks (CIDR); for the context server'),
  allowedReferrers: TokenList('Origins such as https://www.example.com or https://*.example.com; for the context browser'),
  scopes: TokenList('RFC 6749, 3.3')
}
const Context = Type.Enum(['server', 'browser'])
export const CreateTokenBody = Type.Object({ name: Name, context: Context, ...tokenFields }, closed)
export const ExchangeBody = Type.Object({ name: Name, context: Type.Optional(Context), ...tokenFields }, closed)
export const ChangeTokenBody = Type.Object({ name: Type.Optional(Name), ...tokenFields }, { ...closed, minProperties: 1 })
export const RotateTokenBody = Type.Object({
  overlap: Type.Optional(Type.Union([Type.Integer(), Type.String({ maxLength: 16 })], { description: 'How long the old one goes on: seconds, or a text like "12h"; left out: it ends now' }))
}, closed)

export const ChangeUserBody = Type.Object({
  disabled: Type.Optional(Type.Boolean({ description: 'true: nobody logs in any more, and every session ends for good' })),
  roles: Type.Optional(Type.Array(Type.String({ maxLength: 128 }), { maxItems: 64, description: 'All that the user is to have' }))
}, { ...closed, minProperties: 1 })
export const UsersQuery = Type.Object({
  search: Type.Optional(Type.String({ maxLength: 320, description: 'Part of an address, user name or name' })),
  cursor: Type.Optional(Type.String({ maxLength: 4096, description: 'What the page before has answered as next' })),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100, default: 50 }))
}, closed)

const Time = Type.String({ format: 'date-time' })
const SessionFields = { id: Type.String(), createdAt: Time, authenticatedAt: Time, idleExpiresAt: Time, expiresAt: Time }

/** Hosts may have added fields of their own to a user. */
const User = Type.Object({
  id: Type.String(),
  email: Type.String(),
  emailVerified: Type.Boolean(),
  username: Type.Union([Type.String(), Type.Null()]),
  name: Type.Union([Type.String(), Type.Null()]),
  roles: Type.Array(Type.String()),
  disabled: Type.Boolean(),
  createdAt: Time
})
const Session = Type.Object(SessionFields)

export const UserAnswer = Type.Object({ user: User })
export const UsersAnswer = Type.Object({ users: Type.Array(User), next: Type.Union([Type.String(), Type.Null()], { description: 'The cursor of the next page' }) })
export const SignedInAnswer = Type.Object({ user: User, session: Session })
export const ClaimedAnswer = Type.Object({ claimed: Type.Boolean() })
export const SessionsAnswer = Type.Object({
  sessions: Type.Array(Type.Object({
    ...SessionFields,
    lastSeenAt: Time,
    device: Type.String({ description: 'Such as "Firefox on Windows"' }),
    address: Type.Union([Type.String(), Type.Null()]),
    current: Type.Boolean()
  }))
})
const OrNull = <Schema extends TSchema>(schema: Schema) => Type.Union([schema, Type.Null()])

const PersonalTokenFields = {
  id: Type.String(),
  name: Type.String(),
  context: Context,
  allowedMethods: OrNull(Type.Array(Type.String())),
  allowedIps: OrNull(Type.Array(Type.String())),
  allowedReferrers: OrNull(Type.Array(Type.String())),
  scopes: OrNull(Type.Array(Type.String())),
  createdAt: Time,
  expiresAt: Time,
  lastUsedAt: OrNull(Time),
  lastUsedAddress: OrNull(Type.String()),
  successorId: OrNull(Type.String())
}
const PersonalToken = Type.Object(PersonalTokenFields)
export const TokensAnswer = Type.Object({ tokens: Type.Array(PersonalToken) })
export const TokenAnswer = Type.Object({ personalToken: PersonalToken })
export const CreatedTokenAnswer = Type.Object({ token: Type.String({ description: 'The secret' }), personalToken: PersonalToken })

export const ExportAnswer = Type.Object({
  user: User,
  hasPassword: Type.Boolean(),
  sessions: Type.Array(Type.Object({
    ...SessionFields,
    lastSeenAt: Time,
    device: Type.String(),
    address: OrNull(Type.String()),
    userAgent: OrNull(Type.String()),
    remember: Type.Boolean(),
    claims: Type.Unknown(),
    revokedAt: OrNull(Time),
    revokeReason: OrNull(Type.String())
  })),
  personalTokens: Type.Array(Type.Object({ ...PersonalTokenFields, revokedAt: OrNull(Time) })),
  links: Type.Array(Type.Object({ purpose: Type.String(), email: Type.String(), createdAt: Time, expiresAt: Time })),
  hostSessions: Type.Array(Type.Object({ data: Type.Unknown(), expiresAt: Time })),
  mails: Type.Array(Type.Object({
    kind: Type.String(),
    recipient: Type.String(),
    data: Type.Record(Type.String(), OrNull(Type.String())),
    locale: OrNull(Type.String()),
    attempts: Type.Integer(),
    createdAt: Time,
    dueAt: Time
  })),
  basicUses: Type.Array(Type.Object({ method: Type.String(), route: Type.String(), lastUsedAt: Time, lastUsedAddress: OrNull(Type.String()) }))
})

export const KeySetAnswer = Type.Object({
  keys: Type.Array(Type.Object({
    kty: Type.String(),
    kid: Type.String(),
    alg: Type.String(),
    use: Type.Literal('sig'),
    crv: Type.Optional(Type.String()),
    x: Type.Optional(Type.String()),
    y: Type.Optional(Type.String()),
    n: Type.Optional(Type.String()),
    e: Type.Optional(Type.String())
  }), { description: 'Public keys (RFC 7517)' })
})

const Milliseconds = Type.Integer({ minimum: 0, description: 'Milliseconds' })
const Count = Type.Integer({ minimum: 0 })
const Store = Type.Object({ ok: Type.Boolean(), ms: Milliseconds })
export const HealthAnswer = Type.Object({
  ok: Type.Boolean({ description: 'Whether the stores have answered; with 503 false' }),
  at: Time,
  stores: Type.Object({ users: Store, sessions: Store }),
  feed: OrNull(Type.Object({ current: Type.Boolean(), age: OrNull(Milliseconds) })),
  passwords: Type.Object({ running: Count, waiting: Count }),
  mail: OrNull(Type.Object({ waiting: OrNull(Count), sending: Count, failing: Type.Boolean() })),
  unwritten: Type.Object({ sessions: Count, personalTokens: Count, basicUses: Count })
}, { description: 'How this server and its storage are' })

const Parameter = (description: string, maxLength: number) => Type.Optional(Type.String({ description, maxLength }))

/** RFC 6749, 3.2: what is not known is not looked at. */
export const TokenBody = Type.Object({
  grant_type: Type.String({ description: 'password or refresh_token', maxLength: 256 }),
  username: Parameter('Grant password: the user name, or the e-mail address', 320),
  password: Parameter('Grant password', 16_384),
  refresh_token: Parameter('Grant refresh_token', 8192),
  scope: Parameter('Refused: sessions have no scopes', 4096)
})
/** RFC 7009, 2.1. */
export const RevokeBody = Type.Object({
  token: Type.String({ description: 'An access or refresh token', maxLength: 8192 }),
  token_type_hint: Parameter('Not needed', 256)
})
export const BearerAnswer = Type.Object({
  access_token: Type.String(),
  token_type: Type.Literal('Bearer'),
  expires_in: Type.Integer({ description: 'Seconds' }),
  refresh_token: Type.Optional(Type.String({ description: 'In place of the one before, or the same once more' }))
})
export const Revoked = Type.Object({}, { description: 'It is of no use any more' })

/** The same whether anything came of it or not. */
export const Accepted = Type.Object({}, { ...closed, description: 'Accepted; what came of it is told by mail' })
export const NoContent = Type.Null({ description: 'Done' })

/** What the guarded routes demand, for the OpenAPI document of the host: `components: { securitySchemes }`. */
export const securitySchemes = {
  accountsCookie: { type: 'apiKey', in: 'cookie', name: '__Host-accounts_access', description: 'The access cookie that login sets (without the prefix over plain http)' },
  accountsBearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT', description: 'The access token that POST /auth/token answers' },
  accountsPersonalToken: { type: 'http', scheme: 'bearer', description: 'A personal access token; also as "Authorization: ApiToken …"' },
  accountsBasic: { type: 'http', scheme: 'basic', description: 'Where the host has switched it on' }
} as const

const ErrorAnswer = Type.Object({ statusCode: Type.Integer(), code: Type.String(), error: Type.String(), message: Type.String() })

/** RFC 6749, 5.2. */
export const OAuthError = Type.Object({ error: Type.String(), error_description: Type.String(), code: Type.String() })

const ERRORS: Readonly<Record<number, string>> = {
  400: 'The request is not of the right shape',
  401: 'Who calls is not known, or not known well enough',
  403: 'Refused',
  404: 'No such thing',
  409: 'Taken, or the last of its kind',
  413: 'Larger than 16 KiB',
  415: 'Not application/json',
  422: 'Well-formed, but not acceptable',
  429: 'Too often',
  503: 'Try again later'
}

export function errorAnswers (statusCodes: readonly number[], schema: TSchema = ErrorAnswer): Record<number, TSchema> {
  return Object.fromEntries(statusCodes.map(statusCode => [statusCode, { ...schema, description: ERRORS[statusCode]! }]))
}

import Type from 'typebox'
import { createShape } from '../shape.ts'

// What a host hands to a service is checked like a body: a typing error in JavaScript must not pass for a wish.
// Whether a text will do is for the duty behind it to say.

const closed = { additionalProperties: false }
const Text = Type.String()
const Roles = Type.Array(Text)
const profile = { email: Text, username: Type.Optional(Text), name: Type.Optional(Text) }

export const readRegistration = createShape('registration', Type.Object({ ...profile, password: Text }, closed))
export const readNewAccount = createShape('account', Type.Object({ ...profile, password: Type.Optional(Text), roles: Type.Optional(Roles), emailVerified: Type.Optional(Type.Boolean()) }, closed))
export const readImportedAccount = createShape('account', Type.Object({
  ...profile,
  id: Type.Optional(Text),
  roles: Type.Optional(Roles),
  emailVerified: Type.Optional(Type.Boolean()),
  passwordDigest: Type.Optional(Text),
  disabled: Type.Optional(Type.Boolean()),
  // JSON has no dates.
  createdAt: Type.Optional(Type.Unknown())
}, closed))
/** A form has more members than these, and they do no harm. */
export const readLogin = createShape('login', Type.Intersect([
  Type.Union([Type.Object({ email: Text }), Type.Object({ username: Text })]),
  Type.Object({ password: Text, remember: Type.Optional(Type.Boolean()) })
]))
/** What they hold is for the duty to say. */
export const readSignInOptions = createShape('options', Type.Object({ remember: Type.Optional(Type.Boolean()), authenticatedAt: Type.Optional(Type.Unknown()), claims: Type.Optional(Type.Unknown()) }, closed))
export const readEndOptions = createShape('options', Type.Object({ except: Type.Optional(Text) }, closed))
export const readRotateOptions = createShape('options', Type.Object({ overlap: Type.Optional(Type.Union([Text, Type.Number()])) }, closed))
export const readPasswordChange = createShape('passwords', Type.Object({ currentPassword: Text, newPassword: Text }, closed))
export const readEmailChange = createShape('change', Type.Object({ email: Text, password: Text }, closed))
export const readUserChange = createShape('change', Type.Object({
  name: Type.Optional(Type.Union([Text, Type.Null()])),
  roles: Type.Optional(Roles),
  disabled: Type.Optional(Type.Boolean())
}, { ...closed, minProperties: 1 }))
export const readListQuery = createShape('query', Type.Object({
  search: Type.Optional(Text),
  cursor: Type.Optional(Type.Union([Text, Type.Null()])),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100 }))
}, closed))
export const readOwnerProof = createShape('proof', Type.Union([
  Type.Object({ setupCode: Text }, closed),
  Type.Object({ username: Text, password: Text }, closed)
]))
export const readNewPassword = createShape('newPassword', Text)
export const readText = createShape('argument', Text)

import type { Static, TSchema } from 'typebox'
import type * as schemas from '../routes/schemas.ts'

// What goes over the wire, in the types of the schemas that the server checks it by. Nothing of the server is imported at run time.

type Schemas = typeof schemas
type Name = { [Key in keyof Schemas]: Schemas[Key] extends TSchema ? Key : never }[keyof Schemas]
type Described<Key extends Name> = Static<Schemas[Key]>

/** An account. A host that adds fields of its own declares them by merging: `declare module 'fastify-accounts/client' { interface User { … } }`. */
export interface User extends UserFields {}
type UserFields = Described<'UserAnswer'>['user']
type WithUser<Answer> = { [Key in keyof Answer]: Key extends 'user' ? User : Key extends 'users' ? User[] : Answer[Key] }

export type RegisterBody = Described<'RegisterBody'>
export type LoginBody = Described<'LoginBody'>
export type TokenLogin = Required<Pick<Described<'TokenBody'>, 'username' | 'password'>>
export type ClaimBody = Described<'ClaimBody'>
export type ChangeMeBody = Described<'ChangeMeBody'>
export type DeleteMeBody = Described<'DeleteMeBody'>
export type ChangePasswordBody = Described<'ChangePasswordBody'>
export type EmailBody = Described<'EmailBody'>
export type ResetPasswordBody = Described<'ResetPasswordBody'>
export type VerifyEmailBody = Described<'VerifyEmailBody'>
export type ChangeEmailBody = Described<'ChangeEmailBody'>
export type CreateTokenBody = Described<'CreateTokenBody'>
export type ChangeTokenBody = Described<'ChangeTokenBody'>
export type RotateTokenBody = Described<'RotateTokenBody'>
export type ChangeUserBody = Described<'ChangeUserBody'>
export type UsersQuery = Described<'UsersQuery'>

export type UserAnswer = WithUser<Described<'UserAnswer'>>
export type UsersAnswer = WithUser<Described<'UsersAnswer'>>
export type SignedInAnswer = WithUser<Described<'SignedInAnswer'>>
export type ExportAnswer = WithUser<Described<'ExportAnswer'>>
export type SessionsAnswer = Described<'SessionsAnswer'>
export type TokensAnswer = Described<'TokensAnswer'>
export type TokenAnswer = Described<'TokenAnswer'>
export type CreatedTokenAnswer = Described<'CreatedTokenAnswer'>
export type ClaimedAnswer = Described<'ClaimedAnswer'>
export type BearerAnswer = Described<'BearerAnswer'>

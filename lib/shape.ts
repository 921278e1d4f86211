import Type, { type Static, type TSchema } from 'typebox'
import type { TLocalizedValidationError } from 'typebox/error'
import { Compile } from 'typebox/schema'
import { FST_ACCOUNTS_INPUT_INVALID } from './errors.ts'

/** Answers what it was given, typed, or throws. @throws {FST_ACCOUNTS_INPUT_INVALID} */
export type Shape<Schema extends TSchema> = (value: unknown) => Static<Schema>

/**
 * Make a check of our own, so that nothing but the shape of our schema passes, whatever validator or coercion a host has
 * set up. Members that are `undefined` count as left out, in the copy that is answered as well.
 */
export function createShape<Schema extends TSchema> (name: string, schema: Schema): Shape<Schema> {
  const validator = Compile(schema as TSchema)
  return value => {
    const given = withoutUndefined(value)
    if (validator.Check(given)) return given as Static<Schema>
    // The name of a member that nobody asked for is the caller's own text, and may be a secret: it is not repeated.
    const [, faults] = validator.Errors(given ?? null)
    const fault = faults.find(({ keyword }) => keyword !== 'boolean')
    throw new FST_ACCOUNTS_INPUT_INVALID(fault === undefined ? `${name} is not of the right shape` : `${name}${fault.instancePath} ${describe(fault, schema)}`)
  }
}

/** What is wrong, and what would be right as far as the schema says. */
function describe (fault: TLocalizedValidationError, schema: TSchema): string {
  if (fault.keyword === 'enum') return `must be one of ${fault.params.allowedValues.join(', ')}`
  const member = Type.IsObject(schema) ? schema.properties[fault.instancePath.split('/')[1] ?? ''] : undefined
  return member !== undefined && 'description' in member ? `${fault.message} (${String(member.description)})` : fault.message
}

/** Whether anybody could have this id: a host's own store may have ids of any shape, a database has no text with a NUL. */
export function isId (id: unknown): id is string {
  return typeof id === 'string' && id !== '' && id.length <= 255 && id.isWellFormed() && !id.includes('\0')
}

function withoutUndefined (value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined))
}

import { OperationNodeTransformer, SchemableIdentifierNode, type KyselyPlugin } from 'kysely'
import { FST_ACCOUNTS_OPTION_INVALID } from '../../errors.ts'

/** What the tables are called, and where they are. */
export interface Naming {
  /** PostgreSQL: the schema of the tables, made if need be. Left out: the first of the connection's `search_path`. */
  readonly schema?: string
  /** @default 'accounts_' */
  readonly tablePrefix?: string
}

/** @throws {FST_ACCOUNTS_OPTION_INVALID} for an option that is not there: most are typing errors */
export function checkKnown (options: object, known: readonly string[]): void {
  const unknown = Object.keys(options).find(option => !known.includes(option))
  if (unknown !== undefined) throw new FST_ACCOUNTS_OPTION_INVALID(unknown, 'is unknown')
}

/** Identifiers are compared and quoted in many places, PostgreSQL cuts them at 63 bytes: only plain short ones are safe. */
const PLAIN = /^[a-z_][a-z0-9_]{0,29}$/

/** @throws {FST_ACCOUNTS_OPTION_INVALID} */
export function checkNaming ({ schema, tablePrefix }: Naming): Naming {
  for (const [option, value] of Object.entries({ schema, tablePrefix })) {
    if (value !== undefined && (typeof value !== 'string' || !PLAIN.test(value))) throw new FST_ACCOUNTS_OPTION_INVALID(option, 'must be 1 to 30 small letters, digits or "_", and not begin with a digit')
  }
  return { ...(schema === undefined ? {} : { schema }), ...(tablePrefix === undefined ? {} : { tablePrefix }) }
}

const PREFIX = 'accounts_'

/** The code says `accounts_users`; what the database calls it is said here alone. */
export function nameOf (table: string, { tablePrefix = PREFIX }: Naming): string {
  return table.startsWith(PREFIX) ? tablePrefix + table.slice(PREFIX.length) : table
}

export function createNamingPlugin (naming: Naming): KyselyPlugin {
  const transformer = new NamingTransformer(naming)
  return {
    transformQuery: ({ node, queryId }) => transformer.transformNode(node, queryId),
    transformResult: async ({ result }) => result
  }
}

class NamingTransformer extends OperationNodeTransformer {
  readonly #naming: Naming

  constructor (naming: Naming) {
    super()
    this.#naming = naming
  }

  protected override transformSchemableIdentifier (node: SchemableIdentifierNode): SchemableIdentifierNode {
    const { name } = node.identifier
    if (!name.startsWith(PREFIX)) return node
    const { schema } = this.#naming
    const renamed = nameOf(name, this.#naming)
    return schema === undefined ? SchemableIdentifierNode.create(renamed) : SchemableIdentifierNode.createWithSchema(schema, renamed)
  }
}

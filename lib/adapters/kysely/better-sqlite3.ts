import { createRequire } from 'node:module'
import type BetterSqlite from 'better-sqlite3'
import { FST_ACCOUNTS_STORAGE_UNOPENED } from '../../errors.ts'

/** The library, as far as it runs on this Node: what it does otherwise is end the process, without a word. */
export async function loadBetterSqlite (): Promise<typeof BetterSqlite> {
  const fault = findFault(readVersion(), process.versions.node)
  if (fault?.isFatal === true) throw new FST_ACCOUNTS_STORAGE_UNOPENED('SQLite', fault.what, { cause: null })
  if (fault !== null) process.emitWarning(fault.what, { type: 'FastifyAccountsWarning' })
  return (await import('better-sqlite3')).default
}

interface Fault { readonly what: string, readonly isFatal: boolean }

/**
 * What is wrong with a version of the library on a version of Node; `null`: nothing that is known.
 * @param version `null`: it is not there, or does not say
 */
export function findFault (version: string | null, node: string): Fault | null {
  const [major] = parse(version ?? '0')
  const [nodeMajor, nodeMinor] = parse(node)
  // Of Node-API it needs what Node 20 does not have.
  if (major >= 13 && nodeMajor < 22) return { what: `better-sqlite3 ${version} would end the process on Node ${node}: npm install better-sqlite3@12`, isFatal: true }
  // Built with the headers of these, its objects must not be collected while nothing runs. One that was fetched is built with older ones.
  const isCollected = nodeMajor > 24 || (nodeMajor === 24 && nodeMinor >= 19)
  if (major === 12 && isCollected) return { what: `better-sqlite3 ${version}, if it was built on this machine, ends the process now and then on Node ${node}: npm install better-sqlite3@13`, isFatal: false }
  return null
}

function readVersion (): string | null {
  try {
    return (createRequire(import.meta.url)('better-sqlite3/package.json') as { version: string }).version
  } catch {
    // To import it says what is missing.
    return null
  }
}

const parse = (version: string): [number, number] => version.split('.').slice(0, 2).map(Number) as [number, number]

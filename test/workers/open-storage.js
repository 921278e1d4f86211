import { postgresStorage, sqliteStorage } from 'fastify-accounts/kysely'

/**
 * Where a storage is, in a form that processes can hand to each other.
 * @typedef {object} StorageAddress
 * @property {string} [file] of SQLite; else
 * @property {string} [url] of PostgreSQL
 * @property {string} [schema]
 * @property {string} [listen] another URL of it, for the feed
 */

/**
 * @param {StorageAddress} address
 * @returns {Promise<import('fastify-accounts').Storage>}
 */
export async function openStorage ({ file, url, schema, listen }) {
  if (file !== undefined) return await sqliteStorage(file)
  return await postgresStorage(url, { schema, ...(listen === undefined ? {} : { listen }) })
}

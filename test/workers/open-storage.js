import { Redis } from 'ioredis'
import { postgresStorage, sqliteStorage } from 'fastify-accounts/kysely'
import { redisStorage } from 'fastify-accounts/redis'

/**
 * Where a storage is, in a form that processes can hand to each other.
 * @typedef {object} StorageAddress
 * @property {string} [file] of SQLite; else
 * @property {string} [url] of PostgreSQL
 * @property {string} [schema]
 * @property {string} [listen] another URL of it, for the feed
 * @property {RedisAddress} [redis] where the sessions are, if not there too
 */

/**
 * @typedef {object} RedisAddress
 * @property {string} url
 * @property {string} prefix
 * @property {string} [listen] another URL of it, for the feed
 * @property {string} [name] by which the server lists the connections of this process
 */

/**
 * @param {StorageAddress} address
 * @returns {Promise<import('fastify-accounts').Storage>}
 */
export async function openStorage ({ file, url, schema, listen, redis }) {
  const storage = file !== undefined ? await sqliteStorage(file) : await postgresStorage(url, { schema, ...(listen === undefined ? {} : { listen }) })
  return redis === undefined ? storage : withRedis(storage, redis)
}

function withRedis (storage, { url, prefix, listen, name }) {
  const client = connect(url, name)
  const parts = redisStorage(listen === undefined ? client : listeningOn(connect(listen, name), client), { prefix })
  return {
    ...storage,
    ...parts,
    async close () {
      await parts.sessions.close()
      client.disconnect()
      await storage.close()
    }
  }
}

function connect (url, name) {
  const client = new Redis(url, { connectionName: name, lazyConnect: true })
  client.on('error', () => {})
  return client
}

/** The storage makes a client like the host's, and its feed connections like that one: they are to go another way. */
function listeningOn (listening, client) {
  const { duplicate } = client
  client.duplicate = options => Object.assign(duplicate.call(client, options), { duplicate: own => listening.duplicate(own) })
  return client
}

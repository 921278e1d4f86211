/**
 * What other tests show, and where.
 * @type {Array<{ outage: { id: string, title: string }, where: string }>}
 */
export const ELSEWHERE = [
  ['F-09', 'Redis Cluster: MOVED, CLUSTERDOWN', 'test/redis.cluster.test.ts'],
  ['F-11', 'PostgreSQL is killed in the middle of a write', 'test/soak/crash.js'],
  ['F-13', 'transactions of PostgreSQL in conflict', 'test/storage.postgres-refusals.test.ts'],
  ['F-17', 'disk full, too many connections', 'test/storage.postgres-refusals.test.ts'],
  ['F-18', 'the mail server is gone', 'test/soak/mail.js'],
  ['F-19', 'the mail server hardly answers', 'test/outbox.faults.test.ts'],
  ['F-20', 'a mail that can\'t be made', 'test/outbox.faults.test.ts'],
  ['F-21', 'a server is killed at a random moment', 'test/soak/crash.js'],
  ['F-22', 'many processes renew with one token', 'test/soak/races.js'],
  ['F-23', 'renewing races with the end', 'test/soak/revocation.js'],
  ['F-26', 'keys change under load', 'test/keys.rotation.test.ts'],
  ['F-27', 'a key is removed', 'test/keys.rotation.test.ts'],
  ['F-30', 'rows that are broken', 'test/storage.postgres-refusals.test.ts'],
  ['F-31', 'an adapter that lies', 'test/storage.faults.test.ts'],
  ['F-38', 'a hook that fails', 'test/hooks.test.ts']
].map(([id, title, where]) => ({ outage: { id, title }, where }))

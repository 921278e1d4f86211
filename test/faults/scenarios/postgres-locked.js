/** Every connection of every pool waits for what is locked. */
export default {
  id: 'F-14',
  title: 'every connection to PostgreSQL is in use',
  setups: ['postgres', 'redis'],
  holdMs: 2000,
  async inject ({ stores, setup }) {
    const client = await stores.postgres.connect()
    await client.query(`begin; lock table faults_${setup}.accounts_users, faults_${setup}.accounts_sessions in access exclusive mode`)
    return client
  },
  async heal (_world, _round, client) {
    await client.query('rollback')
    await client.end()
  }
}

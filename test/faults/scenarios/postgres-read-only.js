/** It is a replica by now, and refuses to write. */
export default {
  id: 'F-16',
  title: 'PostgreSQL is read-only',
  setups: ['postgres', 'redis'],
  isWriteOnly: true,
  inject: async world => await setReadOnly(world, 'on'),
  heal: async world => await setReadOnly(world, 'off')
}

async function setReadOnly ({ stores }, value) {
  const client = await stores.postgres.connect()
  await client.query(`alter system set default_transaction_read_only = ${value}`)
  await client.query('select pg_reload_conf()')
  await client.end()
}

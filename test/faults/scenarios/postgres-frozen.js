export default {
  id: 'F-15',
  title: 'PostgreSQL is frozen',
  setups: ['postgres', 'redis'],
  holdMs: 2000,
  inject: ({ stores }) => stores.postgres.signal('SIGSTOP'),
  heal: ({ stores }) => stores.postgres.signal('SIGCONT')
}

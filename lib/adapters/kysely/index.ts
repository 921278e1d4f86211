export { kyselyStorage, migrateKysely, type KyselyOptions } from './kysely.ts'
export { migratePostgres, postgresStorage, type PostgresOptions, type PostgresStorage } from './postgres.ts'
export { migrateSqlite, sqliteStorage, type SqliteOptions, type SqliteStorage } from './sqlite.ts'

export { migrateSqlite, sqliteStorage, type SqliteOptions, type SqliteStorage } from './sqlite.ts'

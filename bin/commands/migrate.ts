import type { Command } from './command.ts'
import { DATABASE_OPTIONS, migrate as migrateDatabase } from './storage.ts'

export const migrate: Command = {
  usage: '',
  summary: 'bring the tables up to date, and make them in a new database',
  words: 0,
  options: [...DATABASE_OPTIONS, 'json'],
  run: migrateDatabase
}

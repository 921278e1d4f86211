import { randomBytes } from 'node:crypto'
import type { Command } from './command.ts'

export const secret: Command = {
  usage: '',
  summary: 'print a strong secret for ACCOUNTS_SECRET',
  words: 0,
  options: [],
  run: async () => ({ text: randomBytes(48).toString('base64url') })
}

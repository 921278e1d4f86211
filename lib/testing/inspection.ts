import { deepEqual, ok } from 'node:assert/strict'
import type { ContractCase } from './storage-contract.ts'

export const inspectionCases: readonly ContractCase[] = [
  {
    title: 'the storage tells the time, and lacks nothing of what it has made itself',
    async run (storage) {
      if (storage.inspect === undefined) return
      const [{ now: first }, { now: second, disabledTriggers = [], ...missing }] = [await storage.inspect(), await storage.inspect()]
      ok(first instanceof Date && first.getTime() > 0 && second >= first)
      deepEqual({ ...missing, disabledTriggers }, { missingMigrations: [], missingIndexes: [], missingTriggers: [], disabledTriggers: [] })
    }
  }
]

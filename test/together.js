// Runs compiled test files one after the other in this process: to start one, and to load what they test, takes longer
// than most of them do. Each has ended before the next is read.
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { t } from 'tap'

for (const script of process.argv.slice(2)) {
  await import(pathToFileURL(resolve(script)).href)
  await t.test(`end of ${script}`, async () => {})
}

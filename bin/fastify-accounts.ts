#!/usr/bin/env node
import { openAnswer, runApart } from './apart.ts'
import { HOW_TO_EXPORT } from './commands/load-server.ts'
import { run } from './run.ts'

const { stdin, stdout, stderr } = process
const answer = openAnswer()
if (answer !== null) process.once('exit', tellEnd)
process.exitCode = await run(process.argv.slice(2), answer === null ? { stdin, stdout, stderr, runApart } : { stdin, stdout: answer, stderr })
process.off('exit', tellEnd)
// A server that was loaded may have opened what it does not close.
setTimeout(() => process.exit(), 1000).unref()

/** What servers do that can't listen. */
function tellEnd (): void {
  process.exitCode ||= 1
  stderr.write(`The server ended the process in which it was loaded. If it listens there: ${HOW_TO_EXPORT}.\n`)
}

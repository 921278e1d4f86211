#!/usr/bin/env node
import { openAnswer, runApart } from './apart.ts'
import { run } from './run.ts'

const { stdin, stdout, stderr } = process
const answer = openAnswer()
process.exitCode = await run(process.argv.slice(2), answer === null ? { stdin, stdout, stderr, runApart } : { stdin, stdout: answer, stderr })
// A server that was loaded may have opened what it does not close.
setTimeout(() => process.exit(), 1000).unref()

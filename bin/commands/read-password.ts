import { once } from 'node:events'
import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import { failure, usageError, type Options } from './command.ts'
import type { Terminal } from './terminal.ts'

/** More than any password may have. */
const MAX_BYTES = 16 * 1024

/** A new password: from a pipe where that is said, else from the person at the terminal. Never from the command line, which others can read. */
export async function readPassword ({ 'password-stdin': isPiped }: Options, terminal: Terminal): Promise<string> {
  if (isPiped === true) return await readPipe(terminal)
  if (terminal.stdin.isTTY !== true) throw usageError('Give the password by --password-stdin, or run this in a terminal.')
  const password = await ask(terminal, 'Password: ')
  if (await ask(terminal, 'The same again: ') !== password) throw failure('The passwords differ.')
  return password
}

/** All of it but the end of the line, which `echo` adds. */
async function readPipe ({ stdin }: Terminal): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of stdin as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > MAX_BYTES) throw failure('That is too long for a password.')
    chunks.push(chunk)
  }
  const password = decode(Buffer.concat(chunks)).replace(/\r?\n$/, '')
  if (password === '') throw failure('There was no password on the standard input.')
  return password
}

function decode (bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw failure('The password is not in UTF-8.')
  }
}

/** What is typed is not shown. */
async function ask ({ stdin, stderr }: Terminal, prompt: string): Promise<string> {
  stderr.write(prompt)
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
  const line = createInterface({ input: stdin, output: nowhere, terminal: true, historySize: 0 })
  const cancelled = new AbortController()
  line.once('SIGINT', () => line.close())
  try {
    const closed = once(line, 'close', { signal: cancelled.signal }).then(() => { throw failure('Cancelled.') })
    return await Promise.race([line.question(''), closed])
  } finally {
    cancelled.abort()
    line.close()
    stderr.write('\n')
  }
}

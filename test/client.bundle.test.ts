import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import ts from 'typescript'
import { ROOT } from './support/root.ts'

const FOLDER = join(ROOT, 'dist/lib/client')
const KIB = 1024

const sources = new Map(readdirSync(FOLDER).filter(name => name.endsWith('.js')).map(name => [name, readFileSync(join(FOLDER, name), 'utf8')]))

/** Whatever a file names in an import, static or dynamic, or an export. */
const importsOf = (name: string): string[] => ts.preProcessFile(sources.get(name)!).importedFiles.map(({ fileName }) => fileName)

/** The files that somebody who imports this one gets. */
function reachedFrom (name: string, reached = new Set<string>()): Set<string> {
  if (reached.has(name)) return reached
  reached.add(name)
  for (const imported of importsOf(name)) reachedFrom(imported.replace('./', ''), reached)
  return reached
}

/** As one file, compressed: without comments, imports and indentation, but with all names as they are. A minifier does better. */
function sizeOf (names: Iterable<string>): number {
  const bundle = [...names].map(name => ts.transpileModule(sources.get(name)!, { compilerOptions: { removeComments: true, target: ts.ScriptTarget.ES2023, module: ts.ModuleKind.ESNext } }).outputText
    .replace(/^(import|export) .*from .*;\n/gm, '').replace(/^export /gm, '').replace(/^ +/gm, ''))
  return gzipSync(bundle.join(''), { level: 9 }).length
}

t.test('the client imports its own files and nothing else: nothing of the server, of Node or of another package', async t => {
  t.ok(sources.has('index.js'))
  for (const name of sources.keys()) {
    for (const imported of importsOf(name)) t.ok(/^\.\/[\w-]+\.js$/.test(imported) && sources.has(imported.slice(2)), `${name}: ${imported}`)
  }
})

t.test('the client is small, and a page that needs no bearer tokens does not get what they need', async t => {
  const page = reachedFrom('client.js')
  t.notOk([...page].some(name => name.startsWith('bearer')))
  t.ok(sizeOf(page) < 3 * KIB, `a page: ${sizeOf(page)} bytes`)
  t.ok(sizeOf(reachedFrom('bearer-client.js')) < 3.5 * KIB, `a client with tokens: ${sizeOf(reachedFrom('bearer-client.js'))} bytes`)
  t.ok(sizeOf(sources.keys()) < 4 * KIB, `all of it: ${sizeOf(sources.keys())} bytes`)
})

t.test('the client names no place where a token could be kept for other scripts to read', async t => {
  for (const [name, source] of sources) t.notMatch(source, /localStorage|sessionStorage|indexedDB|document\.|BroadcastChannel|postMessage|window\./, name)
})

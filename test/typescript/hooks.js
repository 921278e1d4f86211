// Takes the types out of TypeScript as it is imported, and keeps the outcome in .tap/typescript: to load the
// compiler in the process of every test file would take longer than most of the tests do.
import { createHash, randomUUID } from 'node:crypto'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const require = createRequire(import.meta.url)
const CACHE = join(import.meta.dirname, '../../.tap/typescript')
const COMPILER_VERSION = require('typescript/package.json').version
const OPTIONS = { target: 'es2023', module: 'esnext', verbatimModuleSyntax: true, inlineSourceMap: true }

/** @type {import('node:module').LoadHook} */
export async function load (url, context, nextLoad) {
  if (!isTypeScript(url)) return nextLoad(url, context)
  const loaded = await nextLoad(url, { ...context, format: 'module' })
  return { ...loaded, source: await withoutTypes(basename(fileURLToPath(url)), loaded.source.toString()) }
}

function isTypeScript (url) {
  return url.startsWith('file:') && url.endsWith('.ts') && !url.includes('/node_modules/')
}

async function withoutTypes (name, source) {
  const key = createHash('sha256').update(JSON.stringify([COMPILER_VERSION, OPTIONS, name, source])).digest('hex')
  const file = join(CACHE, `${key}.js`)
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if (error.code !== 'ENOENT') throw error
  }
  const script = transpile(name, source)
  await keep(file, script)
  return script
}

function transpile (name, source) {
  return require('typescript').transpileModule(source, { fileName: name, compilerOptions: OPTIONS }).outputText
}

/** Other processes read and write the same file: it has to be there as a whole or not at all. */
async function keep (file, script) {
  await mkdir(CACHE, { recursive: true })
  const draft = `${file}.${randomUUID()}`
  await writeFile(draft, script)
  await rename(draft, file)
}

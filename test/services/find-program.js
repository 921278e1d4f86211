import { accessSync, constants, statSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/**
 * The folders of PATH, in order.
 * @returns {string[]}
 */
export function pathFolders () {
  return (process.env.PATH ?? '').split(delimiter).filter(Boolean)
}

/**
 * Whether this path is a file this process may run.
 * @param {string} path
 * @returns {boolean}
 */
export function isExecutable (path) {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}

/**
 * The path of the first of these programs that is on PATH.
 * @param {...string} names program names, the preferred one first
 * @returns {string | null} null when none is there
 */
export function findProgram (...names) {
  for (const name of names) {
    const folder = pathFolders().find((folder) => isExecutable(join(folder, name)))
    if (folder) return join(folder, name)
  }
  return null
}

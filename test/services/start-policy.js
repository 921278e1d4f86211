import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'

const POLICY = '/usr/sbin/policy-rc.d'
const SAVED = `${POLICY}.before-fastify-accounts`
const MARK = 'written by the tests of fastify-accounts'
const FORBIDDEN_BY_POLICY = 101

/**
 * Keeps Debian from starting the services of the packages that get installed.
 * @returns {() => void} puts back what was there before; may be called twice
 */
export function forbidServiceStarts () {
  // A run that was killed may have left our own file behind: that one is not worth saving.
  if (existsSync(POLICY) && !isOurs()) renameSync(POLICY, SAVED)
  writeFileSync(POLICY, `#!/bin/sh\n# ${MARK}\nexit ${FORBIDDEN_BY_POLICY}\n`, { mode: 0o755 })
  return () => {
    if (existsSync(POLICY) && isOurs()) rmSync(POLICY)
    if (existsSync(SAVED)) renameSync(SAVED, POLICY)
  }
}

function isOurs () {
  return readFileSync(POLICY, 'utf8').includes(MARK)
}

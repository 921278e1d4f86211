import { findChromium } from './chromium.js'
import { findProgram } from './find-program.js'
import { endWithProcess } from './lifetime.js'
import { findPostgresFolder } from './postgres.js'
import { findRedis } from './redis.js'
import { runProgram } from './run-program.js'
import { forbidServiceStarts } from './start-policy.js'

const PROGRAMS = [
  { name: 'postgres', debianPackage: 'postgresql', variable: 'TEST_DATABASE_URL', find: findPostgresFolder },
  { name: 'redis-server', debianPackage: 'redis-server', variable: 'TEST_REDIS_URL', find: findRedis },
  { name: 'chromium', debianPackage: 'chromium', variable: 'TEST_CHROMIUM', find: findChromium },
  { name: 'curl', debianPackage: 'curl', variable: 'TEST_CURL', find: () => findProgram('curl') }
]

/**
 * Makes sure that PostgreSQL, Redis, Chromium and curl are there, save those the environment gives
 * (TEST_DATABASE_URL, TEST_REDIS_URL, TEST_CHROMIUM, TEST_CURL). As root on Debian it installs the missing ones.
 * @returns {Promise<void>} rejects with one sentence saying what is missing and what to do
 */
export async function ensurePrograms () {
  const missing = findMissing()
  if (missing.length === 0) return
  if (process.getuid() !== 0 || !findProgram('apt-get')) throw missingError(missing)

  console.log(`installing ${listed(missing.map((program) => program.debianPackage))} with apt-get`)
  const allowServiceStarts = forbidServiceStarts()
  const untie = endWithProcess({ stop: async () => allowServiceStarts(), kill: allowServiceStarts })
  try {
    await runAptGet('update')
    await runAptGet('install', '-y', '--no-install-recommends', ...missing.map((program) => program.debianPackage))
  } catch (error) {
    console.error(error.message)
    throw missingError(missing, ', and apt-get could not install them')
  } finally {
    allowServiceStarts()
    untie()
  }

  const stillMissing = findMissing()
  if (stillMissing.length > 0) throw missingError(stillMissing, ', though apt-get installed their packages')
}

function findMissing () {
  return PROGRAMS.filter((program) => !process.env[program.variable] && !program.find())
}

function missingError (missing, remark = '') {
  const names = listed(missing.map((program) => program.name))
  const variables = listed(missing.map((program) => program.variable))
  return new Error(`The tests need ${names}, not found here${remark}: install what is missing or set ${variables}.`)
}

function listed (words) {
  return words.length === 1 ? words[0] : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`
}

async function runAptGet (...args) {
  const options = { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } }
  await runProgram('apt-get', args, { options, stopSignal: 'SIGTERM' })
}

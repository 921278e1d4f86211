import { findChromium } from './chromium.js'
import { ensurePrograms } from './install.js'
import { startPostgres } from './postgres.js'
import { startRedis } from './redis.js'

/**
 * Where the tests find their services.
 * @typedef {object} ServicesEnvironment
 * @property {string} TEST_DATABASE_URL
 * @property {string} TEST_REDIS_URL
 * @property {string} TEST_CHROMIUM
 */

/**
 * Gives the services the tests need: those named by the environment variables of the same names, else
 * private temporary ones, which end with this process at the latest.
 * @returns {Promise<{ env: ServicesEnvironment, stop: () => Promise<void> }>}
 */
export async function startServices () {
  await ensurePrograms()
  const starts = await Promise.allSettled([
    process.env.TEST_DATABASE_URL ? given(process.env.TEST_DATABASE_URL) : startPostgres(),
    process.env.TEST_REDIS_URL ? given(process.env.TEST_REDIS_URL) : startRedis()
  ])
  const started = starts.filter((start) => start.status === 'fulfilled').map((start) => start.value)
  const stop = async () => { await Promise.all(started.map((service) => service.stop())) }

  const failure = starts.find((start) => start.status === 'rejected')
  if (failure) {
    await stop()
    throw failure.reason
  }
  const [database, redis] = started
  const env = {
    TEST_DATABASE_URL: database.url,
    TEST_REDIS_URL: redis.url,
    TEST_CHROMIUM: process.env.TEST_CHROMIUM || findChromium()
  }
  return { env, stop }
}

function given (url) {
  return { url, stop: async () => {} }
}

import { findProgram } from './find-program.js'

/**
 * The path of a Chromium, or Chrome, on PATH.
 * @returns {string | null} null when there is none
 */
export function findChromium () {
  return findProgram('chromium', 'chromium-browser', 'google-chrome')
}

const COUNTS = /^# (\{ total: .*\})$/
const SUBTEST = /^( *)# Subtest: (.*)$/
const RESULT = /^( *)(not ok|ok) \d+(?: - (.*?))?(?: # time=.*)?$/
const DIAGNOSTIC_START = /^( *)---$/
const QUIET = /^ *(?:#.*|\d+\.\.\d+.*|TAP version \d+)?$/

/**
 * Reads the TAP of a whole tap run line by line: says what to show of it (each file's result, and each
 * failure with what led to it), and finds the counts of assertions that tap itself made.
 */
export class TapOutput {
  /** @type {{ passed: number, failed: number } | null} null until tap gives them, at its end */
  counts = null
  #path = []
  #headersShown = 0
  #failureShown = false
  #diagnostic = null
  #showsDiagnostic = false

  /**
   * @param {string} line one line, without its end
   * @returns {string[]} the lines to show for it
   */
  read (line) {
    if (this.#diagnostic) return this.#readDiagnostic(line)
    const diagnostic = DIAGNOSTIC_START.exec(line)
    if (diagnostic) {
      this.#diagnostic = { end: `${diagnostic[1]}...`, shown: this.#showsDiagnostic }
      return this.#readDiagnostic(line)
    }
    this.#showsDiagnostic = false
    const subtest = SUBTEST.exec(line)
    if (subtest) return this.#enter(depthOf(subtest[1]), subtest[2])
    const result = RESULT.exec(line)
    if (result) return this.#readResult(line, depthOf(result[1]), result[2] === 'ok', result[3])
    const counts = COUNTS.exec(line)
    if (counts) this.counts = readCounts(counts[1])
    return QUIET.test(line) ? [] : [line]
  }

  #readDiagnostic (line) {
    const { end, shown } = this.#diagnostic
    if (line === end) this.#diagnostic = null
    return shown ? [line] : []
  }

  #enter (depth, name) {
    this.#path.length = depth
    this.#path[depth] = name
    this.#headersShown = Math.min(this.#headersShown, depth)
    if (depth === 0) this.#failureShown = false
    return []
  }

  #readResult (line, depth, ok, name) {
    const endsSubtest = this.#path.length > depth && this.#path[depth] === name
    if (ok) return depth === 0 ? [line] : []
    // What a failed subtest says of itself is only of use when nothing in it was seen to fail.
    const headers = endsSubtest ? [] : this.#openHeaders(depth)
    this.#showsDiagnostic = !endsSubtest || !this.#failureShown
    if (!endsSubtest) this.#failureShown = true
    return endsSubtest && depth > 0 && !this.#showsDiagnostic ? [] : [...headers, line]
  }

  #openHeaders (depth) {
    const headers = this.#path.slice(this.#headersShown, depth)
    const first = this.#headersShown
    this.#headersShown = Math.max(first, depth)
    return headers.map((name, index) => `${'    '.repeat(first + index)}# ${name}`)
  }
}

function depthOf (indent) {
  return indent.length / 4
}

// "{ total: 5, pass: 3, fail: 1, skip: 1 }": all that did not pass failed, be it skipped or to do.
function readCounts (text) {
  const total = Number(/total: (\d+)/.exec(text)[1])
  const passed = Number(/pass: (\d+)/.exec(text)?.[1] ?? 0)
  return { passed, failed: total - passed }
}

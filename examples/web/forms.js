// What all forms share: reading what was typed, and showing a form again with what is wrong beside the field.

/** What was typed into a field. One that is missing or came twice is not of our forms. */
export const textOf = (body, name) => typeof body?.[name] === 'string' ? body[name] : ''

/** The values of fields that may come several times, such as boxes that are ticked. */
export const listOf = (body, name) => [body?.[name] ?? []].flat().map(String)

/** The lines of a field with several, without the empty ones. */
export const linesOf = (body, name) => textOf(body, name).split('\n').map(line => line.trim()).filter(line => line !== '')

/** Beside which field stands what an error is about, by the first word of its code. */
const FIELDS = { EMAIL: 'email', USERNAME: 'username', NAME: 'name', PASSWORD: 'password', ROLE: 'roles' }

/** Errors that no other input would mend: they get a page of their own. */
const FATAL = ['AUTHENTICATION_REQUIRED', 'ORIGIN_REFUSED', 'CSRF_TOKEN_INVALID']

/**
 * What an error says to who filled in a form, and beside which field; `null`: it is not about the form.
 * @param fields other fields than those of this file, such as `{ PASSWORD: 'newPassword', PASSWORD_WRONG: 'currentPassword' }`
 * @param words other words than those of the error, such as `{ CREDENTIALS_INVALID: 'Wrong password' }`
 */
function problemOf (error, fields = {}, words = {}) {
  const name = String(error.code ?? '').replace('FST_ACCOUNTS_', '')
  if (!(error.statusCode >= 400 && error.statusCode < 500) || FATAL.includes(name)) return null
  if (error.retryAfter !== undefined) return { field: null, message: `Too many attempts. Please try again ${inWords(error.retryAfter)}.` }
  const word = name.split('_', 1)[0]
  return { field: fields[name] ?? fields[word] ?? FIELDS[word] ?? null, message: (words[name] ?? error.message).replace(/\.?$/, '.') }
}

const inWords = seconds => seconds < 120 ? `in ${seconds} seconds` : `in ${Math.ceil(seconds / 60)} minutes`

/** Show a form again after an error, with what was typed; passwords are left out. */
export function showAgain (reply, error, view, { values, fields, words, ...data }) {
  const problem = problemOf(error, fields, words)
  if (problem === null) throw error
  return reply.code(error.statusCode).headers(error.headers ?? {}).view(view, { ...data, values, problem })
}

import { AccountsError, createClient } from 'fastify-accounts/client'

const accounts = createClient()
const find = id => document.getElementById(id)

async function show () {
  const response = await accounts.fetch('/hello')
  const isInside = response.status !== 401
  find('enter').hidden = isInside
  find('inside').hidden = !isInside
  if (!isInside) return
  find('hello').textContent = await response.text()
  const { sessions } = await accounts.sessions.list()
  find('sessions').replaceChildren(...sessions.map(({ device, current }) => Object.assign(document.createElement('li'), { textContent: current ? `${device} (this one)` : device })))
}

async function act (work) {
  find('message').textContent = ''
  try {
    await work()
    await show()
  } catch (error) {
    find('message').textContent = tell(error)
  }
}

// What went wrong, in words for the person who is waiting.
function tell (error) {
  if (!(error instanceof AccountsError)) return 'The server can not be reached.'
  if (error.retryAfter !== null) return `${error.message} (in ${error.retryAfter} seconds)`
  return error.message
}

find('enter').addEventListener('submit', event => {
  event.preventDefault()
  const form = event.target
  const body = { email: form.elements.email.value, password: form.elements.password.value }
  act(async () => {
    if (event.submitter?.value === 'register') await accounts.register(body)
    else await accounts.login(body)
    form.reset()
  })
})
find('logout').addEventListener('click', () => act(() => accounts.logout()))
find('others').addEventListener('click', () => act(() => accounts.sessions.endOthers()))
act(() => {})

// The browser holds both tokens in cookies that no script can read; this page only calls the routes.
const find = id => document.getElementById(id)

async function call (method, path, body) {
  const response = await fetch(path, {
    method,
    ...(body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
  })
  const answer = response.status === 204 ? null : await response.json()
  if (!response.ok) throw Object.assign(new Error(answer.message), answer)
  return answer
}

async function show () {
  try {
    const [{ user }, hello, { sessions }] = await Promise.all([call('GET', '/auth/me'), call('GET', '/hello'), call('GET', '/auth/sessions')])
    find('email').textContent = user.email
    find('hello').textContent = JSON.stringify(hello)
    find('sessions').replaceChildren(...sessions.map(toItem))
    toggle(true)
  } catch (error) {
    toggle(false)
    if (error.statusCode !== 401) say(error.message)
  }
}

function toggle (isInside) {
  find('enter').hidden = isInside
  find('inside').hidden = !isInside
}

function toItem (session) {
  const item = document.createElement('li')
  const seen = new Date(session.lastSeenAt).toLocaleString()
  item.append(`${session.device}, ${session.address ?? 'unknown address'}, last seen ${seen}`)
  if (session.current) item.append(Object.assign(document.createElement('strong'), { textContent: ' (this one)' }))
  else item.append(' ', Object.assign(document.createElement('button'), { textContent: 'End', className: 'quiet', onclick: () => act(() => call('DELETE', `/auth/sessions/${session.id}`)) }))
  return item
}

const say = text => { find('message').textContent = text }

async function act (work) {
  say('')
  try {
    await work()
  } catch (error) {
    say(error.message)
    if (error.statusCode !== 401) return
  }
  await show()
}

find('enter').addEventListener('submit', event => {
  event.preventDefault()
  const form = event.target
  const { email, password, remember } = form.elements
  const isLogin = event.submitter?.value !== 'register'
  void act(async () => {
    await call('POST', isLogin ? '/auth/login' : '/auth/register', { email: email.value, password: password.value, ...(isLogin ? { remember: remember.checked } : {}) })
    form.reset()
  })
})
find('logout').addEventListener('click', () => act(() => call('POST', '/auth/logout')))
find('others').addEventListener('click', () => act(() => call('DELETE', '/auth/sessions')))
void show()

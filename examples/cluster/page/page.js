// Each node is asked again and again whether it lets this browser in, by the cookies that no script can read.
const IDLE_MS = { in: 200, out: 1000, gone: 1000 }
/** Far more than it can take until all have refused. */
const HURRY_MS = 3000
const BARS = 80

const find = id => document.getElementById(id)
const say = text => { find('message').textContent = text }

/** When a button was clicked that ends the session; until all have refused they are asked without a pause. */
let clickedAt = null

const isHurried = () => clickedAt !== null && performance.now() - clickedAt < HURRY_MS && panels.some(panel => panel.isIn())

async function call (method, path) {
  const response = await fetch(path, { method })
  const body = await response.json()
  return { status: response.status, servedBy: response.headers.get('served-by'), ...body }
}

function createPanel (name) {
  const card = find('node').content.cloneNode(true).firstElementChild
  const part = className => card.querySelector(`.${className}`)
  part('name').textContent = name
  find('nodes').append(card)
  let state = 'out'
  let wake = () => {}

  function show ({ status, email, process }) {
    const wasIn = state === 'in'
    state = { 200: 'in', 401: 'out' }[status] ?? 'gone'
    if (wasIn && state === 'out' && clickedAt !== null) part('ms').textContent = `${Math.round(performance.now() - clickedAt)} ms`
    // Whoever has not signed in yet is not told of a refusal.
    const isStranger = state === 'out' && part('process').textContent === ''
    card.className = isStranger ? '' : state
    part('state').textContent = isStranger ? 'Not signed in' : { in: 'Signed in', out: 'Refused', gone: 'Not running' }[state]
    part('detail').textContent = { in: `as ${email}`, out: '401 Unauthorized', gone: 'no answer' }[state]
    if (state === 'in') part('process').textContent = `Process ${process}`
    part('trail').append(Object.assign(document.createElement('span'), { className: `bar ${state}` }))
    if (part('trail').childElementCount > BARS) part('trail').firstElementChild.remove()
  }

  async function run () {
    for (;;) {
      show(await call('GET', `/nodes/${name}/whoami`).catch(() => ({ status: 0 })))
      enable()
      if (!isHurried()) await new Promise(resolve => { wake = resolve; setTimeout(resolve, IDLE_MS[state]) })
    }
  }

  return {
    run,
    isIn: () => state === 'in',
    hurry: () => wake(),
    reset: () => { part('ms').textContent = '–' }
  }
}

function enable () {
  const isIn = panels.some(panel => panel.isIn())
  find('start').disabled = isIn
  find('end').disabled = find('end-all').disabled = !isIn
}

async function click (path, tell) {
  for (const panel of panels) panel.reset()
  const since = performance.now()
  clickedAt = path === '/start' ? null : since
  for (const panel of panels) panel.hurry()
  const answer = await call('POST', path).catch(() => ({ status: 0 }))
  const ms = Math.round(performance.now() - since)
  say(answer.status === 200 ? tell(`Node ${answer.servedBy}`, ms) : `That did not work (${answer.status}): try again.`)
  for (const panel of panels) panel.hurry()
}

const { nodes } = await call('GET', '/nodes')
const panels = nodes.map(createPanel)
find('start').addEventListener('click', () => click('/start', node => `${node} has signed you in, and all nodes know you.`))
find('end').addEventListener('click', () => click('/end', (node, ms) => `${node} has ended this session, and said so after ${ms} ms.`))
find('end-all').addEventListener('click', () => click('/end-all', (node, ms) => `${node} has ended all sessions of the guest, and said so after ${ms} ms.`))
for (const panel of panels) panel.run()

// Cookies are neither sent nor kept (fetch's default, to another origin): the token is all that this page has.
const find = selector => document.querySelector(selector)

const REFUSED = 'The figures are not available here. Please visit the portal at its own address, or tell us if this is it.'
const FAILED = 'The figures could not be fetched. Please try again later.'

async function fetchFigures () {
  const { api, token } = await (await fetch('/config.json')).json()
  const response = await fetch(`${api}/figures`, { headers: { authorization: `ApiToken ${token}` } })
  if (response.ok) return await response.json()
  throw Object.assign(new Error(`The API answered ${response.status}`), { isRefusal: [401, 403].includes(response.status) })
}

function toRow ({ district, vaccinated }) {
  const row = document.createElement('tr')
  const head = Object.assign(document.createElement('th'), { scope: 'row', textContent: district })
  const cell = Object.assign(document.createElement('td'), { textContent: `${vaccinated} %` })
  row.append(head, cell)
  return row
}

const message = find('#message')
try {
  const figures = await fetchFigures()
  find('#figures tbody').replaceChildren(...figures.map(toRow))
  find('#figures').hidden = false
  message.textContent = ''
} catch (error) {
  message.textContent = error.isRefusal ? REFUSED : FAILED
  message.className = 'problem'
}

// The only script of these pages: it puts a token into the clipboard. Without it the button stays hidden.
const button = document.querySelector('[data-copy]')
const said = document.querySelector('[data-copied]')

if (button !== null && navigator.clipboard !== undefined) {
  button.hidden = false
  button.addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent)
      said.textContent = 'Copied.'
    } catch {
      said.textContent = 'Your browser does not allow that: select the token and copy it.'
    }
  })
}

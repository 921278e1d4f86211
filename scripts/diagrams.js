// npm run diagrams: draws docs/images/*.svg, the sequence diagrams of the guides, from the descriptions in
// docs/images/diagrams.json. They follow the reader's light or dark scheme by themselves.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const FOLDER = join(import.meta.dirname, '../docs/images')
const COLUMN = 250
const MARGIN = 120
const HEAD = 64
const STEP = 46

const STYLE = `
    text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328; text-anchor: middle }
    .name { font-weight: 600; font-size: 14px }
    .line { stroke: #afb8c1; stroke-dasharray: 3 4 }
    .head, .note rect { fill: #f6f8fa; stroke: #d1d9e0 }
    .good rect { fill: #dafbe1; stroke: #4ac26b }
    .bad rect { fill: #ffebe9; stroke: #ff8182 }
    .arrow { stroke: #59636e; stroke-width: 1.5 }
    .lost { stroke: #d1242f; stroke-dasharray: 6 4 }
    .tip { fill: #59636e }
    .cross { stroke: #d1242f; stroke-width: 2 }
    @media (prefers-color-scheme: dark) {
      text { fill: #f0f6fc }
      .line { stroke: #3d444d }
      .head, .note rect { fill: #151b23; stroke: #3d444d }
      .good rect { fill: #12361f; stroke: #238636 }
      .bad rect { fill: #3c1618; stroke: #b62324 }
      .arrow { stroke: #9198a1 }
      .lost { stroke: #f85149 }
      .tip { fill: #9198a1 }
    }`

/**
 * A description as SVG. Each step is a message (`from`, `to`, `text`, perhaps `lost`) or a note over some columns
 * (`over`, `text`, perhaps `kind` good or bad).
 */
export function draw ({ title, columns, steps }) {
  const place = name => MARGIN + columns.indexOf(name) * COLUMN
  const width = 2 * MARGIN + (columns.length - 1) * COLUMN
  const height = HEAD + steps.length * STEP + 24
  const parts = columns.map(name => `
  <line class="line" x1="${place(name)}" y1="44" x2="${place(name)}" y2="${height - 8}"/>
  <rect class="head" x="${place(name) - 84}" y="12" width="168" height="32" rx="6"/>
  <text class="name" x="${place(name)}" y="33">${escape(name)}</text>`)
  steps.forEach((step, index) => {
    const y = HEAD + index * STEP + 26
    parts.push(step.over === undefined ? drawMessage(step, place, y) : drawNote(step, place, y))
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-labelledby="title">
  <title id="title">${escape(title)}</title>
  <style>${STYLE}
  </style>${parts.join('')}
</svg>
`
}

function drawMessage ({ from, to, text, lost = false }, place, y) {
  const [start, end] = [place(from), place(to)]
  const towards = Math.sign(end - start)
  const tip = lost ? start + (end - start) * 0.72 : end - towards * 2
  const ending = lost
    ? `<path class="cross" d="M${tip - 5} ${y - 5}l10 10m0 -10l-10 10"/>`
    : `<path class="tip" d="M${tip} ${y}l${-9 * towards} -5v10z"/>`
  return `
  <text x="${(start + end) / 2}" y="${y - 8}">${escape(text)}</text>
  <line class="arrow${lost ? ' lost' : ''}" x1="${start}" y1="${y}" x2="${tip}" y2="${y}"/>${ending}`
}

function drawNote ({ over, text, kind = 'plain' }, place, y) {
  const [left, right] = [Math.min(...over.map(place)), Math.max(...over.map(place))]
  return `
  <g class="note ${kind}"><rect x="${left - 104}" y="${y - 20}" width="${right - left + 208}" height="30" rx="6"/><text x="${(left + right) / 2}" y="${y}">${escape(text)}</text></g>`
}

const escape = text => text.replace(/[&<>]/g, character => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;' })[character])

/** Names of files to what is in them. */
export function drawAll () {
  const diagrams = JSON.parse(readFileSync(join(FOLDER, 'diagrams.json'), 'utf8'))
  return Object.entries(diagrams).map(([name, diagram]) => [`${name}.svg`, draw(diagram)])
}

if (process.argv[1] === import.meta.filename) for (const [name, svg] of drawAll()) writeFileSync(join(FOLDER, name), svg)

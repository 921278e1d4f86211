import type { Html } from '../../types/mailer.ts'
import { html } from './html.ts'

/** A paragraph, a link on a line of its own, or lines of name and value. */
export type Block = string | { readonly label: string, readonly link: string } | { readonly facts: ReadonlyArray<readonly [name: string, value: string | null]> }

/** A text in English, before it becomes plain text and HTML. */
export interface Text { readonly subject: string, readonly blocks: readonly Block[], readonly footer: string }

/** Blocks are apart by an empty line; links stand alone, so that no full stop becomes part of one. */
export function layText ({ blocks, footer }: Text): string {
  return `${[...blocks.map(textOf), `-- \n${footer}`].join('\n\n')}\n`
}

function textOf (block: Block): string {
  if (typeof block === 'string') return block
  return 'link' in block ? `${block.label}:\n${block.link}` : factsOf(block).map(([name, value]) => `${name}: ${value}`).join('\n')
}

/** No colour is set that a dark background would swallow, nothing is loaded, and no link leads anywhere but where it says. */
export function layHtml ({ subject, blocks, footer }: Text): Html {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${subject}</title>
</head>
<body style="margin: 0; padding: 24px;">
<div style="max-width: 560px; margin: 0 auto; font: 16px/1.5 system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif; overflow-wrap: anywhere;">
${blocks.map(htmlOf)}
<p style="margin: 32px 0 0; font-size: 14px; opacity: 0.75;">${footer}</p>
</div>
</body>
</html>
`
}

function htmlOf (block: Block): Html {
  if (typeof block === 'string') return html`<p style="margin: 0 0 16px;">${block}</p>\n`
  if ('link' in block) {
    return html`<p style="margin: 24px 0 12px;"><a href="${block.link}" style="display: inline-block; padding: 12px 20px; border-radius: 6px; background: #1d4ed8; color: #ffffff; font-weight: 600; text-decoration: none;">${block.label}</a></p>
<p style="margin: 0 0 24px; font-size: 14px;">Or copy this address into your browser:<br><a href="${block.link}" style="word-break: break-all; color: inherit;">${block.link}</a></p>\n`
  }
  return html`<p style="margin: 0 0 16px;">${factsOf(block).map(([name, value], index) => html`${index > 0 && html`<br>\n`}${name}: <strong>${value}</strong>`)}</p>\n`
}

const factsOf = ({ facts }: Extract<Block, { readonly facts: unknown }>) => facts.filter(([, value]) => value !== null)
